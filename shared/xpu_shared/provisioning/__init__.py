"""Devices put into a wished state by writes to sysfs: planned, performed, read back, and taken back when one fails."""
