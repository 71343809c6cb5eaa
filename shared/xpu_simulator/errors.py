"""The errors that a caller of the simulator handles."""


class ImpossibleError(Exception):
    """What was asked for cannot happen to this node now: a card removed twice, a kubelet stopped twice."""


class UnknownGpuError(ImpossibleError):
    """The node has no card of that name."""


class UsageError(Exception):
    """A command line or a file that cannot be used; one line for its author."""
