"""Faults that are brought about for real, and the table of what has to come of each."""
