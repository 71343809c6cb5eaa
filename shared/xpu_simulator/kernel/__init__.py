"""The kernel's side of a simulated sysfs: what happens when an attribute is written, and what the kernel refuses."""
