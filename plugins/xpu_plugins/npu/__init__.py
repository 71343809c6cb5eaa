"""The NPU device plugin."""
