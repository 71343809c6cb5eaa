"""One endpoint of a publisher: a bound XPUB socket, and who subscribes to it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import zmq

from xpu_shared.program.logs import Log
from xpu_shared.sockets import Identity, SocketError, identity, remove_own
from xpu_shared.telemetry import ipc
from xpu_shared.telemetry.counters import PublisherCounters

LONGEST_SUBSCRIPTION = 1024  # bytes of a frame from a subscriber
MOST_WAITING = 8  # messages for a subscriber that does not read: it gets the oldest ones, then the next
HANDSHAKE = 3000  # ms for a handshake
HEARTBEAT = 5000  # ms between signs of life over tcp
DOMAIN = b"telemetry"  # in which the authenticator decides; without one libzmq would not ask it

log = Log("telemetry")


class Outlet:
    def __init__(
        self,
        endpoint: str,
        context: "zmq.Context[zmq.Socket[bytes]]",
        *,
        secret: bytes | None,
        on_newcomer: Callable[[bytes], None],
        counters: PublisherCounters,
    ) -> None:
        """`on_newcomer` is called with what was subscribed to; `secret` is the key that tcp:// needs."""
        self.endpoint = endpoint
        self._context = context
        self._secret = secret
        self._on_newcomer = on_newcomer
        self._counters = counters
        self._subscriptions = 0
        self._path = Path(endpoint.removeprefix("ipc://")) if endpoint.startswith("ipc://") else None
        self._ours: Identity | None = None
        self._socket: zmq.Socket[bytes] | None = None

    @property
    def in_place(self) -> bool:
        """Whether newcomers find us: bound, and the path still names our socket."""
        return self._socket is not None and (self._path is None or identity(self._path) == self._ours)

    def open(self) -> None:
        """Bind.

        Raises:
            OtherInstanceError: a live publisher is there; ours, if its socket was replaced, goes on for those it has.
            SocketError: the endpoint cannot be bound.
        """
        socket = self._context.socket(zmq.XPUB)
        try:
            self._configure(socket)
            ours = self._bind(socket)
        except BaseException:
            socket.close(0)
            raise
        self.close()
        self._ours, self._socket = ours, socket
        loop = asyncio.get_running_loop()
        loop.add_reader(socket.FD, self._look)
        loop.call_soon(self._look)  # the descriptor says "look" once, perhaps before it was watched

    def _configure(self, socket: "zmq.Socket[bytes]") -> None:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.XPUB_VERBOSER, 1)
        socket.setsockopt(zmq.SNDHWM, MOST_WAITING)
        socket.setsockopt(zmq.MAXMSGSIZE, LONGEST_SUBSCRIPTION)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE)
        if self._path is not None:
            return
        if self._secret is None:  # settings refuse it already
            raise SocketError(f"{self.endpoint}: tcp is only used with keys")
        socket.setsockopt(zmq.IPV6, 1)
        socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT)
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self._secret)
        socket.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)

    def _bind(self, socket: "zmq.Socket[bytes]") -> Identity | None:
        def bind_to(endpoint: str) -> None:
            try:
                socket.bind(endpoint)
            except zmq.ZMQError as error:
                raise OSError(error.errno, error.strerror) from error

        if self._path is None:
            try:
                bind_to(self.endpoint)
            except OSError as error:
                raise SocketError(f"{self.endpoint}: {error.strerror}") from error
            return None
        ours = ipc.bind(self._path, bind_to)
        if exposed := ipc.exposure(self._path.parent):
            log.warning("others may replace the socket", directory=self._path.parent, reason=exposed)
        return ours

    def send(self, frame: bytes) -> None:
        """Hand a frame to every subscriber that has room for it; zmq.ZMQError when ZeroMQ takes none."""
        if self._socket is not None:
            self._socket.send(frame, zmq.NOBLOCK)

    def close(self) -> None:
        socket, self._socket = self._socket, None
        if socket is None:
            return
        asyncio.get_running_loop().remove_reader(socket.FD)
        if self._path is not None and self._ours is not None:
            remove_own(self._path, self._ours)
        socket.close(0)
        self._count(-self._subscriptions)

    def _look(self) -> None:
        """Handle all subscriptions and their ends; anything else that a subscriber sends is passed over."""
        while self._socket is not None:
            try:
                frame = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            if frame[:1] == b"\1":
                self._count(1)
                self._on_newcomer(frame[1:])
            elif frame[:1] == b"\0":
                self._count(-1)

    def _count(self, change: int) -> None:
        self._subscriptions += change
        self._counters.subscriptions += change
