"""The GPU device plugin."""
