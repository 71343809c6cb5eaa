"""Which connection speaks for which resource, as kubelets keep it, mistakes included.

Up to 1.36 everything is kept by the resource's name: the newest registration wins, and when the *old* stream ends the
kubelet disconnects the *new* connection. From 1.37 on it is kept by name and socket path: endpoints with different
file names live side by side, but a registration of a path that is still connected fails, and from then on the entry
of that path is stuck. Values only: nothing here opens or closes a connection.
"""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from xpu_simulator.kubelet.versions import minor_version

FIRST_BY_PATH = 37  # the minor version from which connections are kept by name and path


def keeps_by_path(version: str) -> bool:
    """What a kubelet of a version does; ValueError for what is none."""
    return minor_version(version) >= FIRST_BY_PATH


class HasEndpoint(Protocol):
    @property
    def resource(self) -> str: ...
    @property
    def socket(self) -> object: ...


Connection = TypeVar("Connection", bound=HasEndpoint)


class AlreadyConnectedError(Exception):
    """The path is connected already."""


@dataclass(frozen=True, slots=True)
class Ended(Generic[Connection]):
    """What the end of a stream leads to."""

    close: Connection | None = None  # not always the one whose stream ended
    resource_lost: bool = False  # no other connection serves the resource


class Bookkeeping(Generic[Connection]):
    def __init__(self, *, by_path: bool) -> None:
        self._by_path = by_path
        self._tracked: dict[object, Connection] = {}  # whom the end of a stream is looked up in
        self._connected: dict[str, dict[object, Connection]] = {}  # by resource, then by path; the last one is asked

    def speaker(self, resource: str) -> Connection | None:
        """The connection that RPCs of a resource go to."""
        return next(reversed(self._connected.get(resource, {}).values()), None)

    def track(self, connection: Connection) -> None:
        """A registration arrived and is about to be dialled."""
        self._tracked[self._key(connection)] = connection

    def stream_ended(self, connection: Connection) -> Ended[Connection]:
        return self.ended(connection.resource, connection.socket)

    def untrack(self, connection: Connection) -> None:
        """The registration failed. Whoever is tracked in its place is forgotten with it, as kubelets do."""
        self._tracked.pop(self._key(connection), None)

    def connect(self, connection: Connection) -> None:
        """The plugin answered. Raises AlreadyConnectedError."""
        siblings = self._connected.setdefault(connection.resource, {})
        if not self._by_path:
            siblings.clear()
        elif connection.socket in siblings:
            raise AlreadyConnectedError(f"device plugin already connected: {connection.socket}")
        siblings[connection.socket] = connection

    def ended(self, resource: str, socket: object) -> Ended[Connection]:
        """A stream ended, or a plugin of plugins_registry was taken away."""
        closing = self._tracked.pop((resource, socket) if self._by_path else resource, None)
        if closing is None:  # forgotten: its entry, if it has one, stays
            return Ended()
        siblings = self._connected.get(resource, {})
        was_connected = siblings.pop(closing.socket, None) is not None
        return Ended(close=closing, resource_lost=was_connected and not siblings)

    def _key(self, connection: Connection) -> object:
        return (connection.resource, connection.socket) if self._by_path else connection.resource
