"""GPUs as i915 and xe show them: their description, and what they look like to the rest of a node."""
