"""Accelerators of the kernel driver idxd, DSA and IAA: their description, their state, and what they look like."""
