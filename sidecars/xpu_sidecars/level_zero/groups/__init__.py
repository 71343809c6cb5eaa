"""What is sampled together, a module for each group of a device's values."""
