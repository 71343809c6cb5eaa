"""SGX as the kernel's driver shows it: its description, and what it looks like to a node."""
