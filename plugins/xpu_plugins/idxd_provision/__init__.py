"""Provisioning of DSA and IAA: work queues as a layout file wishes them, or whole functions for vfio-pci."""
