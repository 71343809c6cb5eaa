"""A node without hardware: sysfs and dev trees, a kubelet, scenarios."""
