"""The XeLink sidecar: how the GPUs of a node are joined, published, written as node labels and exported as metrics."""
