"""The kubelet's side of a device plugin: sockets, registration, RPCs."""
