"""The DLB device plugin."""
