"""Provisioning of Dynamic Load Balancers: virtual functions, and which share of the device each of them owns."""
