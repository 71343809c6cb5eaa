"""NPUs as the driver intel_vpu shows them: their description, and what they look like to a node."""
