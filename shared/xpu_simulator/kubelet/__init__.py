"""A kubelet as device plugins see it: registration, device lists, allocation, restarts."""
