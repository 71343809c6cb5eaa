"""The device plugin of DSA, the data streaming accelerator; its work queues are those of `xpu_shared.idxd`."""
