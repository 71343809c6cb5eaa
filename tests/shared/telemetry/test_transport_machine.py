"""Publishers and subscribers as a state machine, over real ZeroMQ: publishers publish, end, are killed and start anew,
send nonsense, subscribers come and go, in any order. Whoever listens knows the newest snapshot, or keeps its last one.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from telemetry_examples import envelope
from telemetry_transport import odd_publisher, publisher_process, snapshot, subscribed, until, version
from xpu_shared.telemetry.bounds import Limits
from xpu_shared.telemetry.clocks import boot_id, start_sequence
from xpu_shared.telemetry.decoding import SnapshotReader
from xpu_shared.telemetry.envelope import encode, subscription
from xpu_shared.telemetry.publisher import Publisher
from xpu_shared.telemetry.readings import DeviceSnapshot, Envelope
from xpu_shared.telemetry.subscriber import Subscriber

LARGEST = 4096  # bytes
MOST = 3  # subscribers at once
BURST = 3  # snapshots at once; of many ZeroMQ keeps the oldest for who has not read yet (MOST_WAITING), until the next


class TransportMachine(RuleBasedStateMachine):
    """The model: the text of the newest snapshot, and whether its publisher is there."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="xpu-"))
        self.endpoint = f"ipc://{self.root}/run/telemetry.sock"
        self.loop = asyncio.Runner()
        self.publisher: Publisher | None = None
        self.newest = ""  # that the publisher has published since its start; empty: none
        self.subscribers: dict[Subscriber[DeviceSnapshot], AsyncExitStack] = {}
        self.known: dict[Subscriber[DeviceSnapshot], str] = {}  # what each has to know
        self.innocent: set[Subscriber[DeviceSnapshot]] = set()  # those that never got nonsense
        self.numbers = 0

    @precondition(lambda self: self.publisher is None)
    @rule()
    def publisher_starts(self) -> None:
        async def start() -> None:
            self.publisher = Publisher([self.endpoint], source="level-zero", node="node-1", validity=60.0)
            self.publisher.open()

        self.newest = ""
        self._do(start())

    @precondition(lambda self: self.publisher is not None)
    @rule(times=st.integers(1, BURST))
    def publishes(self, times: int) -> None:
        async def publish() -> None:
            assert self.publisher is not None
            for _ in range(times):
                self.newest = self._text()
                self.publisher.publish(snapshot(self.newest))

        self._do(publish())

    @precondition(lambda self: self.publisher is not None)
    @rule()
    def publisher_ends(self) -> None:
        async def close() -> None:
            assert self.publisher is not None
            self.publisher.close()
            self.publisher = None

        self._do(close())

    @precondition(lambda self: self.publisher is not None)
    @rule()
    def socket_is_removed(self) -> None:
        """By somebody who tidies up; the next publication puts it back."""
        (self.root / "run/telemetry.sock").unlink()
        self.publishes(1)

    @precondition(lambda self: self.publisher is None and self.subscribers)
    @rule()
    def another_process_publishes_and_is_killed(self) -> None:
        text = self._text()

        async def publish() -> None:
            async with publisher_process(self.endpoint, text):
                await until(lambda: all(version(one) == text for one in self.subscribers))

        self.known = dict.fromkeys(self.subscribers, text)
        self._do(publish())

    @precondition(lambda self: self.publisher is None and self.subscribers)
    @rule(noise=st.sampled_from((b"", b"\xff" * 64, b"\x08", b"x" * 2 * LARGEST)))
    def somebody_publishes_nonsense(self, noise: bytes) -> None:
        """And then, so that it is known to have come, something true."""
        text = self._text()
        frame = encode(self._envelope(text))
        self.innocent.clear()

        async def publish() -> None:
            async with odd_publisher(self.endpoint) as socket:
                socket.send(subscription(SnapshotReader.topic) + noise)
                while not all(version(one) == text for one in self.subscribers):
                    socket.send(frame)
                    await asyncio.sleep(0.01)
            (self.root / "run/telemetry.sock").unlink(missing_ok=True)

        (self.root / "run").mkdir(mode=0o700, exist_ok=True)
        (self.root / "run/telemetry.sock").unlink(missing_ok=True)
        self.known = dict.fromkeys(self.subscribers, text)
        self._do(asyncio.wait_for(publish(), 20))

    @precondition(lambda self: len(self.subscribers) < MOST)
    @rule()
    def subscriber_comes(self) -> None:
        async def come() -> None:
            stack = AsyncExitStack()
            subscriber = await stack.enter_async_context(subscribed(self.endpoint, limits=Limits(largest=LARGEST)))
            self.subscribers[subscriber], self.known[subscriber] = stack, ""
            self.innocent.add(subscriber)

        self._do(come())

    @precondition(lambda self: self.subscribers)
    @rule(data=st.data())
    def subscriber_goes(self, data: st.DataObject) -> None:
        subscriber = data.draw(st.sampled_from(list(self.subscribers)))
        del self.known[subscriber]
        self.innocent.discard(subscriber)
        self._do(self.subscribers.pop(subscriber).aclose())

    @invariant()
    def nothing_is_dropped_but_nonsense_and_what_is_known(self) -> None:
        for subscriber in self.innocent:
            assert subscriber.counters.dropped.keys() <= {"duplicate", "superseded"}

    def _text(self) -> str:
        self.numbers += 1
        return f"snapshot {self.numbers}"

    def _envelope(self, text: str) -> Envelope:
        start, now = start_sequence(), time.monotonic()
        own = envelope(snapshot(text), sequence=start, start_sequence=start)
        return replace(own, boot_id=boot_id(), wall_time=time.time(), monotonic_time=now)

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        """Let it happen, and wait until each subscriber knows what it has to."""

        async def done() -> None:
            await what
            if self.publisher is not None and self.newest:
                self.known = dict.fromkeys(self.subscribers, self.newest)
            await until(lambda: all(version(one) == text for one, text in self.known.items()), repr(self.known))

        self.loop.run(done())

    def teardown(self) -> None:
        async def end() -> None:
            for stack in self.subscribers.values():
                await stack.aclose()
            if self.publisher is not None:
                self.publisher.close()

        self.loop.run(end())
        self.loop.close()
        shutil.rmtree(self.root)


TestTransport = TransportMachine.TestCase
TestTransport.settings = settings(
    max_examples=5, stateful_step_count=14, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
