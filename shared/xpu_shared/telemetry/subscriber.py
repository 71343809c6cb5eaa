"""Reads what one sidecar publishes: always the newest snapshot, or none.

What cannot be used is dropped and counted, and costs nothing else. Losing the sidecar takes nothing away: the newest
snapshot stays, and says itself until when it is good. Imports ZeroMQ, so it is imported only where telemetry is on.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import zmq

from xpu_shared.program.logs import Log
from xpu_shared.telemetry.bounds import Limits
from xpu_shared.telemetry.clocks import boot_id
from xpu_shared.telemetry.counters import SubscriberCounters
from xpu_shared.telemetry.curve import ClientKeys
from xpu_shared.telemetry.envelope import MalformedMessageError, Reader, decode, subscription
from xpu_shared.telemetry.freshness import News, Now, OutdatedMessageError, is_restart, received
from xpu_shared.telemetry.link import Link

P = TypeVar("P")

log = Log("telemetry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """This machine's clocks; tests have others."""

    boot_id: str = field(default_factory=boot_id)
    wall: Callable[[], float] = time.time

    def now(self, monotonic: float) -> Now:
        return Now(boot_id=self.boot_id, monotonic=monotonic, wall=self.wall())


class Subscriber(Generic[P]):
    """One topic of one endpoint. `newest` is the newest snapshot that came, fresh or not."""

    def __init__(
        self,
        endpoint: str,
        *,
        reader: Reader[P],
        context: "zmq.Context[zmq.Socket[bytes]]",
        keys: ClientKeys | None = None,
        limits: Limits | None = None,
        node: str = "",
        clock: Clock | None = None,
    ) -> None:
        """Prepare to read; `run` connects.

        Args:
            context: may be shared by many subscribers; it belongs to the caller.
            reader: of the topic's payload.
            keys: needed for tcp://, and of no meaning for ipc://.
            node: this node's name; messages of another node are dropped. Empty: nobody knows.
        """
        self.endpoint = endpoint
        self.newest: News[P] | None = None
        self.counters = SubscriberCounters(values_dropped=reader.dropped)
        self._context = context
        self._keys = keys
        self._limits = limits or Limits()
        self._node = node
        self._clock = clock or Clock()
        self._reader = reader
        self._listeners: list[Callable[[], None]] = []
        self._last_frame = b""
        self._expiry: asyncio.TimerHandle | None = None
        self._trouble = ""

    @property
    def topic(self) -> bytes:
        return self._reader.topic

    def listen(self, listener: Callable[[], None]) -> None:
        """Have `listener` called after each new snapshot, and when the newest becomes stale."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Read until cancelled."""
        link = Link(
            self._context,
            self.endpoint,
            subscription(self._reader.topic),
            largest=self._limits.largest,
            keys=self._keys,
            on_frame=self._take,
            counters=self.counters,
        )
        try:
            link.open()
            await asyncio.Event().wait()
        finally:
            link.close()
            if self._expiry is not None:
                self._expiry.cancel()

    def _take(self, frame: bytes) -> bool:
        """Use a frame, if it can be used; whatever is wrong with it costs only itself."""
        try:
            news = self._news(frame)
        except (MalformedMessageError, OutdatedMessageError) as error:
            self._drop(error.reason, str(error))
            return False
        except Exception as error:  # noqa: BLE001 - a frame that nobody thought of must not end telemetry
            self._drop("error", repr(error))
            return False
        self._trouble = ""
        self._last_frame = frame
        last, self.newest = self.newest, news
        self._count(frame, news, last)
        self._expire_at(news.expires_at)
        self._tell()
        return True

    def _news(self, frame: bytes) -> News[P]:
        if frame == self._last_frame:  # sent again for a newcomer
            raise OutdatedMessageError("duplicate", "the same message once more")
        envelope = decode(frame, self._reader, largest=self._limits.largest)
        now = self._clock.now(asyncio.get_running_loop().time())
        return received(envelope, self.newest, node=self._node, max_skew=self._limits.max_skew, now=now)

    def _count(self, frame: bytes, news: News[P], last: News[P] | None) -> None:
        counters, envelope = self.counters, news.envelope
        counters.messages += 1
        counters.bytes += len(frame)
        counters.newest = envelope.wall_time
        if last is None:
            return
        if is_restart(envelope, last.envelope):
            counters.restarts += 1
            log.info("the publisher was started again", endpoint=self.endpoint, source=envelope.source)
        elif envelope.sequence > last.envelope.sequence + 1:
            counters.dropped["superseded"] += envelope.sequence - last.envelope.sequence - 1

    def _drop(self, reason: str, text: str) -> None:
        """Count a message that cannot be used, and speak of the first one of a kind."""
        self.counters.dropped[reason] += 1
        if reason not in (self._trouble, "duplicate"):
            log.warning("dropped a message", endpoint=self.endpoint, kind=reason, reason=text)
            self._trouble = reason

    def _expire_at(self, when: float) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = asyncio.get_running_loop().call_at(when, self._tell)

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            try:
                listener()
            except Exception as error:  # noqa: BLE001 - one listener must not cost another its news
                log.error("a listener failed", endpoint=self.endpoint, error=repr(error))
