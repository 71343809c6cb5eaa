"""What the kernel tells: sysfs, NUMA topology, uevents."""
