"""The device plugin of IAA, the analytics accelerator; most of it is `xpu_shared.idxd`."""
