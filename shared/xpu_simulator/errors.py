"""The errors that a caller of the simulator handles."""


class ImpossibleError(Exception):
    """What was asked for cannot happen to this node now: a device removed twice, a kubelet stopped twice."""


class UnknownDeviceError(ImpossibleError):
    """The node has no device of that name, or the device no driver of that name."""


class UsageError(Exception):
    """A command line or a file that cannot be used; one line for its author."""
