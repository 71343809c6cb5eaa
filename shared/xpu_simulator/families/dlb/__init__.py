"""Dynamic Load Balancers as the driver dlb2 shows them: their description, and what they look like to a node."""
