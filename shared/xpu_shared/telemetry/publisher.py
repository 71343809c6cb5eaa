"""Publishes snapshots on one or more endpoints: every subscriber gets each one, and the newest when it arrives.

Each endpoint has an XPUB socket, which tells of subscriptions: with XPUB_VERBOSER of every one, not only of the first
to a topic, and of every end. Used on the event loop. Imports ZeroMQ.
"""

import asyncio
import errno
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import zmq

from xpu_shared.program.logs import Log
from xpu_shared.sockets import SocketError
from xpu_shared.telemetry.clocks import boot_id, start_sequence
from xpu_shared.telemetry.counters import PublisherCounters
from xpu_shared.telemetry.curve import AllowedKeys, ServerKeys
from xpu_shared.telemetry.envelope import encode
from xpu_shared.telemetry.outlet import DOMAIN, Outlet
from xpu_shared.telemetry.readings import DeviceSnapshot, Message
from xpu_shared.telemetry.topology import TopologySnapshot

if TYPE_CHECKING:
    from zmq.auth.asyncio import AsyncioAuthenticator

REPEAT = 0.05  # seconds between repetitions: newcomers that come at once are served at once

log = Log("telemetry")


class _Door:
    """Asked by pyzmq's authenticator for each client."""

    def __init__(self, allowed: AllowedKeys, counters: PublisherCounters) -> None:
        self._allowed = allowed
        self._counters = counters

    def callback(self, domain: str, key: bytes) -> bool:
        allowed = self._allowed.allows(key)
        self._counters.refused_keys += not allowed
        return allowed


class Publisher:
    def __init__(
        self, endpoints: Sequence[str], *, source: str, node: str, validity: float, keys: ServerKeys | None = None
    ) -> None:
        """Prepare to publish; `open` binds.

        Args:
            source: who measures, e.g. level-zero.
            node: the Kubernetes node's name.
            validity: seconds that a snapshot is good for, a few times as long as between two.
            keys: needed for tcp://.
        """
        self.counters = PublisherCounters()
        self._source = source
        self._node = node
        self._validity = validity
        self._boot_id = boot_id()
        self._start = self._sequence = start_sequence()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._keys = keys
        self._outlets = [
            Outlet(
                endpoint,
                self._context,
                secret=keys.secret if keys else None,
                on_newcomer=self._newcomer,
                counters=self.counters,
            )
            for endpoint in endpoints
        ]
        self._newest = b""
        self._fresh_until = 0.0
        self._repeated_at = 0.0
        self._repetition: asyncio.TimerHandle | None = None
        self._authenticator: AsyncioAuthenticator | None = None
        self._trouble: dict[str, str] = {}  # by endpoint, so that it is spoken of once

    def open(self) -> None:
        """Bind all endpoints.

        Raises:
            SocketError: an endpoint cannot be bound; the others are. It is tried again with each `publish`.
        """
        if self._keys is not None:
            self._authenticate(self._keys.allowed)
        failures = [error for outlet in self._outlets if (error := self._opened(outlet))]
        if failures:
            raise failures[0]

    @property
    def trouble(self) -> str:
        """Why endpoints cannot be bound now; empty when all are. May be asked from any thread."""
        return "; ".join(list(self._trouble.values()))

    def _opened(self, outlet: Outlet) -> SocketError | None:
        """Bind one endpoint; what is in the way, said once, if something is."""
        try:
            outlet.open()
        except SocketError as error:
            if self._trouble.get(outlet.endpoint) != str(error):
                log.error("cannot publish, keeps trying", endpoint=outlet.endpoint, reason=error)
            self._trouble[outlet.endpoint] = str(error)
            return error
        self._trouble.pop(outlet.endpoint, None)
        log.info("publishes", endpoint=outlet.endpoint)
        return None

    def _authenticate(self, allowed: AllowedKeys) -> None:
        """Let only allowed keys in: without an authenticator libzmq takes any client that knows our public key."""
        from zmq.auth.asyncio import AsyncioAuthenticator  # noqa: PLC0415 - only tcp needs it

        if self._authenticator is None:
            self._authenticator = AsyncioAuthenticator(self._context)
            self._authenticator.start()
            door = _Door(allowed, self.counters)
            self._authenticator.configure_curve_callback(domain=DOMAIN.decode(), credentials_provider=door)

    def publish(self, snapshot: DeviceSnapshot | TopologySnapshot) -> None:
        """Send a snapshot to all subscribers, now. Never waits: who does not read misses it.

        A publisher sends one kind of snapshot: a newcomer gets the newest only.
        """
        self._sequence += 1
        frame = encode(self._message(snapshot))
        self._newest = frame
        self._fresh_until = time.monotonic() + self._validity
        self.counters.messages += 1
        self.counters.bytes += len(frame)
        self.counters.newest = time.time()
        for outlet in self._outlets:
            if not outlet.in_place:  # never bound, or somebody removed the socket
                self._opened(outlet)
        self._send(frame)

    def _message(self, snapshot: DeviceSnapshot | TopologySnapshot) -> Message[DeviceSnapshot | TopologySnapshot]:
        return Message(
            source=self._source,
            node=self._node,
            boot_id=self._boot_id,
            start_sequence=self._start,
            sequence=self._sequence,
            wall_time=time.time(),
            monotonic_time=time.monotonic(),
            validity=self._validity,
            payload=snapshot,
        )

    def _send(self, frame: bytes) -> None:
        for outlet in self._outlets:
            try:
                outlet.send(frame)
            except zmq.ZMQError as error:
                self.counters.failures[errno.errorcode.get(error.errno or 0, "unknown")] += 1

    def _newcomer(self, topic: bytes) -> None:
        """Send the newest snapshot again soon, once for all who came meanwhile."""
        if self._newest.startswith(topic) and self._repetition is None:
            loop = asyncio.get_running_loop()
            self._repetition = loop.call_at(max(loop.time(), self._repeated_at + REPEAT), self._repeat)

    def _repeat(self) -> None:
        self._repetition = None
        self._repeated_at = asyncio.get_running_loop().time()
        if self._repeated_at < self._fresh_until:
            self.counters.repeats += 1
            self._send(self._newest)

    def close(self) -> None:
        """Remove the sockets and end. A publisher that was closed is not opened again."""
        if self._repetition is not None:
            self._repetition.cancel()
        for outlet in self._outlets:
            outlet.close()
        if self._authenticator is not None:
            self._authenticator.stop()
        self._context.destroy(0)
