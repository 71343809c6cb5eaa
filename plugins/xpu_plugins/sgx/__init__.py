"""The SGX device plugin."""
