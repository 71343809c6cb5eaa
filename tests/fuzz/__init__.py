"""Fuzzers: `make fuzz` runs them long, the gate runs them short."""
