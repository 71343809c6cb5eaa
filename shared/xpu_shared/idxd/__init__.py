"""Accelerators of the kernel driver idxd, DSA and IAA: what their programs share."""
