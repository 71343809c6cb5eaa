"""Publishers and subscribers for tests: real sockets, in this process or in one that can be killed."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import zmq

from telemetry_examples import envelope
from xpu_shared.telemetry.bounds import Limits
from xpu_shared.telemetry.clocks import boot_id
from xpu_shared.telemetry.curve import ClientKeys, ServerKeys
from xpu_shared.telemetry.decoding import SnapshotReader
from xpu_shared.telemetry.envelope import encode
from xpu_shared.telemetry.publisher import Publisher
from xpu_shared.telemetry.readings import DeviceSnapshot
from xpu_shared.telemetry.subscriber import Clock, Subscriber

TIMEOUT = 20.0  # seconds; nothing takes so long


async def until(condition: Callable[[], bool], what: str = "it") -> None:
    """Let the event loop work until something holds."""
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110 - ZeroMQ's threads set no events
            await asyncio.sleep(0.002)


def snapshot(text: str) -> DeviceSnapshot:
    """A snapshot that is told from others by a text."""
    return DeviceSnapshot(collector_version=text)


def version(subscriber: Subscriber[DeviceSnapshot]) -> str:
    """The text of the newest snapshot that came."""
    return subscriber.newest.envelope.payload.collector_version if subscriber.newest else ""


def fresh_frame(text: str) -> bytes:
    """The bytes of a snapshot that was made just now, on this machine."""
    now = replace(envelope(snapshot(text)), boot_id=boot_id(), wall_time=time.time(), monotonic_time=time.monotonic())
    return encode(now)


@contextmanager
def publishing(
    *endpoints: str, validity: float = 60.0, node: str = "node-1", keys: ServerKeys | None = None, opened: bool = True
) -> Iterator[Publisher]:
    publisher = Publisher(endpoints, source="level-zero", node=node, validity=validity, keys=keys)
    try:
        if opened:
            publisher.open()
        yield publisher
    finally:
        publisher.close()


@asynccontextmanager
async def subscribed(
    endpoint: str,
    *,
    keys: ClientKeys | None = None,
    limits: Limits | None = None,
    node: str = "",
    clock: Clock | None = None,
) -> AsyncIterator[Subscriber[DeviceSnapshot]]:
    """A subscriber that reads; it need not be connected yet."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    subscriber = Subscriber(
        endpoint, reader=SnapshotReader(), context=context, keys=keys, limits=limits, node=node, clock=clock
    )
    task = asyncio.create_task(subscriber.run())
    try:
        yield subscriber
    finally:
        task.cancel()
        await asyncio.wait({task})
        context.destroy(0)


@asynccontextmanager
async def odd_publisher(endpoint: str) -> AsyncIterator["zmq.Socket[bytes]"]:
    """A socket that has a subscriber, for what ours would never send."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.XPUB)
    socket.bind(endpoint)
    try:
        await until(lambda: bool(socket.poll(0)))
        yield socket
    finally:
        context.destroy(0)


PROCESS = """
import asyncio, sys
from telemetry_transport import publishing, snapshot

async def main():
    with publishing(sys.argv[1]) as publisher:
        publisher.publish(snapshot(sys.argv[2]))
        print("publishes", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def publisher_process(endpoint: str, text: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A publisher that sends one snapshot, in a process of its own; killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROCESS,
        endpoint,
        text,
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parent)},
    )
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), TIMEOUT) == b"publishes\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
