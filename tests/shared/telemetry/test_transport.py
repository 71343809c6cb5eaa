"""Publisher and subscriber over real sockets, and the traps of ZeroMQ between them."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from telemetry_examples import full_snapshot
from telemetry_transport import (
    TIMEOUT,
    fresh_frame,
    odd_publisher,
    publisher_process,
    publishing,
    snapshot,
    subscribed,
    until,
    version,
)
from xpu_shared.telemetry import link
from xpu_shared.telemetry.bounds import Limits
from xpu_shared.telemetry.readings import DeviceSnapshot


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/xpu/level-zero.sock"


async def test_a_snapshot_reaches_every_subscriber_within_20_ms(endpoint: str) -> None:
    with publishing(endpoint) as publisher:
        async with subscribed(endpoint) as first, subscribed(endpoint) as second:
            await until(lambda: publisher.counters.subscriptions == 2)
            publisher.publish(snapshot("warm-up"))
            await until(lambda: version(first) == version(second) == "warm-up")
            came: asyncio.Queue[float] = asyncio.Queue()
            second.listen(lambda: came.put_nowait(time.monotonic()))
            durations = []
            for number in range(20):
                sent = time.monotonic()
                publisher.publish(snapshot(f"{number}"))
                durations.append(await asyncio.wait_for(came.get(), TIMEOUT) - sent)
                await until(lambda number=number: version(first) == f"{number}")  # type: ignore[misc]

    assert sorted(durations)[10] < 0.02
    assert (first.counters.messages, first.counters.dropped.keys() - {"duplicate"}) == (21, set())


async def test_each_newcomer_gets_the_newest_snapshot_at_once(endpoint: str) -> None:
    """Without XPUB_VERBOSER only the first subscriber of a topic is seen."""
    with publishing(endpoint) as publisher:
        publisher.publish(snapshot("old"))
        publisher.publish(snapshot("new"))
        for number in range(3):
            async with subscribed(endpoint) as one, subscribed(endpoint) as other:
                await until(lambda one=one, other=other: version(one) == version(other) == "new")  # type: ignore[misc]
                assert publisher.counters.repeats >= number + 1
        assert publisher.counters.messages == 2


async def test_a_repetition_for_a_newcomer_is_no_news_for_the_others(endpoint: str) -> None:
    with publishing(endpoint) as publisher:
        publisher.publish(snapshot("a"))
        async with subscribed(endpoint) as first:
            await until(lambda: version(first) == "a")
            async with subscribed(endpoint) as second:
                await until(lambda: version(second) == "a" and first.counters.dropped["duplicate"] > 0)

    assert first.counters.messages == 1


async def test_a_stale_snapshot_is_not_repeated(endpoint: str) -> None:
    with publishing(endpoint, validity=0.2) as publisher:
        publisher.publish(snapshot("old"))
        stale = time.monotonic() + 0.2
        await until(lambda: time.monotonic() > stale)
        async with subscribed(endpoint) as subscriber:
            await until(lambda: publisher.counters.subscriptions == 1)
            publisher.publish(snapshot("new"))
            await until(lambda: version(subscriber) == "new")

    assert subscriber.counters.dropped["stale"] == 0


async def test_a_slow_reader_gets_the_newest(endpoint: str) -> None:
    """CONFLATE keeps the newest message where a queue would keep the oldest."""
    with publishing(endpoint) as publisher:
        async with subscribed(endpoint) as subscriber:
            publisher.publish(snapshot("first"))
            await until(lambda: version(subscriber) == "first")
            for number in range(6):  # the loop reads nothing meanwhile
                publisher.publish(snapshot(f"{number}"))
            publisher.publish(snapshot("last"))
            await until(lambda: version(subscriber) == "last")

    assert subscriber.counters.dropped["superseded"] == 8 - subscriber.counters.messages > 0


async def test_a_reader_that_is_stopped_costs_the_publisher_a_few_messages_not_all(endpoint: str) -> None:
    """SNDHWM bounds what waits for it; when it goes on, it has the newest with the next snapshot."""
    script = (
        "import asyncio, sys\n"
        "from telemetry_transport import subscribed, until, version\n"
        "async def main():\n"
        "    async with subscribed(sys.argv[1]) as subscriber:\n"
        "        await until(lambda: version(subscriber) == 'begin'); print('began', flush=True)\n"
        "        await until(lambda: version(subscriber) == 'end'); print('ended', flush=True)\n"
        "asyncio.run(main())\n"
    )
    big = full_snapshot(64)
    with publishing(endpoint) as publisher:
        publisher.publish(snapshot("begin"))
        reader = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            script,
            endpoint,
            stdout=asyncio.subprocess.PIPE,
            env={"PYTHONPATH": os.pathsep.join(("tests", "shared"))},
        )
        assert reader.stdout is not None
        assert await asyncio.wait_for(reader.stdout.readline(), TIMEOUT) == b"began\n"
        reader.send_signal(signal.SIGSTOP)
        before = anonymous_kib()
        for _ in range(200):
            publisher.publish(big)
            await asyncio.sleep(0)
        grown = anonymous_kib() - before
        reader.send_signal(signal.SIGCONT)
        ended = asyncio.create_task(reader.stdout.readline())
        async with asyncio.timeout(TIMEOUT):
            while not ended.done():
                publisher.publish(snapshot("end"))
                await asyncio.wait({ended}, timeout=0.05)
        assert ended.result() == b"ended\n"
        await reader.wait()

    assert grown < 5000  # of 200 messages of 50 KiB


def anonymous_kib() -> int:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


async def test_a_killed_publisher_that_starts_again_is_found(endpoint: str) -> None:
    async with subscribed(endpoint) as subscriber:
        async with publisher_process(endpoint, "first") as process:
            await until(lambda: version(subscriber) == "first")
            process.kill()
            await process.wait()
            await until(lambda: not subscriber.counters.connected)
            assert version(subscriber) == "first"  # losing it takes nothing away
        async with publisher_process(endpoint, "second"):
            started = time.monotonic()
            await until(lambda: version(subscriber) == "second")
            assert time.monotonic() - started < 2.0

    assert (subscriber.counters.restarts, subscriber.counters.connections) == (1, 2)


async def test_a_publisher_that_binds_the_same_path_again_in_its_process_is_found(endpoint: str) -> None:
    """libzmq unlinks a closed socket's path late, perhaps when the next one listens there already."""
    async with subscribed(endpoint) as subscriber:
        for number in range(5):
            with publishing(endpoint) as publisher:
                publisher.publish(snapshot(f"{number}"))
                await until(lambda number=number: version(subscriber) == f"{number}")  # type: ignore[misc]


async def test_a_publisher_whose_socket_was_removed_puts_another_there(endpoint: str) -> None:
    path = Path(endpoint.removeprefix("ipc://"))
    with publishing(endpoint) as publisher:
        path.unlink()
        publisher.publish(snapshot("a"))
        async with subscribed(endpoint) as subscriber:
            await until(lambda: version(subscriber) == "a")
            path.unlink()
            publisher.publish(snapshot("b"))
            await until(lambda: version(subscriber) == "b")


async def test_a_message_above_the_limit_costs_a_new_socket_and_nothing_else(endpoint: str) -> None:
    """libzmq never connects again by itself after a violation of MAXMSGSIZE."""
    with publishing(endpoint) as publisher:
        async with subscribed(endpoint, limits=Limits(largest=2000)) as subscriber:
            publisher.publish(snapshot("small"))
            await until(lambda: version(subscriber) == "small")
            publisher.publish(full_snapshot(8))
            await until(lambda: subscriber.counters.dropped["too large"] > 0)
            assert version(subscriber) == "small"
            publisher.publish(snapshot("small again"))
            await until(lambda: version(subscriber) == "small again")

    assert subscriber.counters.connections >= 2


async def test_another_topic_does_not_cost_a_message(tmp_path: Path) -> None:
    """Two topics on one CONFLATE socket would lose one; each subscriber has its own socket and topic."""
    endpoint = f"ipc://{tmp_path}/odd.sock"
    async with subscribed(endpoint) as subscriber, odd_publisher(endpoint) as socket:
        socket.send(fresh_frame("a"))
        socket.send(b"topology\0other")
        socket.send(b"devices-too\0other")
        await until(lambda: version(subscriber) == "a")

    assert subscriber.counters.dropped == {}


async def test_what_is_not_a_message_is_dropped_and_counted(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/odd.sock"
    async with subscribed(endpoint) as subscriber, odd_publisher(endpoint) as socket:
        for count in (1, 2):
            socket.send(b"devices\0\xff\xff\xff")
            await until(lambda count=count: subscriber.counters.dropped["not protobuf"] == count)  # type: ignore[misc]
        socket.send(fresh_frame("a"))
        await until(lambda: version(subscriber) == "a")


async def test_a_message_of_many_parts_costs_only_itself(tmp_path: Path) -> None:
    """CONFLATE keeps one part of it."""
    endpoint = f"ipc://{tmp_path}/odd.sock"
    async with subscribed(endpoint) as subscriber, odd_publisher(endpoint) as socket:
        socket.send_multipart([b"devices\0", b"second", b"third"])
        socket.send(fresh_frame("a"))
        await until(lambda: version(subscriber) == "a")


async def test_a_listener_on_the_path_that_is_no_publisher_is_waited_out(tmp_path: Path) -> None:
    path = tmp_path / "level-zero.sock"

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100)
        writer.close()

    server = await asyncio.start_unix_server(talk, path)
    async with subscribed(f"ipc://{path}") as subscriber:
        await until(lambda: subscriber.counters.dropped["too large"] + subscriber.counters.handshake_failures > 0)
        server.close()
        await server.wait_closed()
        path.unlink(missing_ok=True)
        with publishing(f"ipc://{path}") as publisher:
            publisher.publish(snapshot("a"))
            await until(lambda: version(subscriber) == "a")


async def test_a_flood_leaves_the_event_loop_to_others(endpoint: str) -> None:
    big = full_snapshot(16)
    turns = 0
    with publishing(endpoint) as publisher:
        async with subscribed(endpoint) as subscriber:
            publisher.publish(big)
            await until(lambda: subscriber.counters.messages == 1)
            for _ in range(300):
                publisher.publish(big)
                await asyncio.sleep(0)
                turns += 1
            publisher.publish(snapshot("end"))
            await until(lambda: version(subscriber) == "end")

    assert turns == 300
    assert subscriber.counters.messages < 100


async def test_the_newest_snapshot_tells_when_it_is_stale_and_stays(endpoint: str) -> None:
    told = []
    with publishing(endpoint, validity=0.2) as publisher:
        async with subscribed(endpoint) as subscriber:
            subscriber.listen(lambda: told.append(time.monotonic()))
            await until(lambda: publisher.counters.subscriptions == 1)
            publisher.publish(snapshot("a"))
            await until(lambda: len(told) == 2)

    assert subscriber.newest is not None
    assert told[0] < subscriber.newest.expires_at <= told[1]


async def test_a_listener_that_fails_costs_the_others_nothing(endpoint: str) -> None:
    def fail() -> None:
        raise RuntimeError("not prepared for this")

    with publishing(endpoint) as publisher:
        async with subscribed(endpoint) as subscriber:
            told: list[DeviceSnapshot] = []
            subscriber.listen(fail)
            subscriber.listen(lambda: told.append(subscriber.newest.envelope.payload))  # type: ignore[union-attr]
            publisher.publish(snapshot("a"))
            await until(lambda: told == [snapshot("a")])


async def test_messages_of_another_node_are_dropped(endpoint: str) -> None:
    with publishing(endpoint, node="node-2") as publisher:
        async with subscribed(endpoint, node="node-1") as subscriber:
            await until(lambda: publisher.counters.subscriptions == 1)
            publisher.publish(snapshot("a"))
            await until(lambda: subscriber.counters.dropped["other node"] == 1)

    assert subscriber.newest is None


async def test_counters_of_both_sides(endpoint: str) -> None:
    with publishing(endpoint) as publisher:
        async with subscribed(endpoint) as subscriber:
            await until(lambda: publisher.counters.subscriptions == 1)
            publisher.publish(snapshot("a"))
            await until(lambda: version(subscriber) == "a")
            sent, got = publisher.counters, subscriber.counters
            assert (sent.messages, sent.subscriptions, sent.bytes) == (1, 1, got.bytes)
            assert (got.messages, got.connected, got.connections, got.dropped) == (1, True, 1, {})
            assert got.newest == pytest.approx(sent.newest, abs=1.0)
        await until(lambda: publisher.counters.subscriptions == 0)


async def test_a_subscriber_leaves_nothing_behind(endpoint: str) -> None:
    with publishing(endpoint) as publisher:
        publisher.publish(snapshot("a"))
        async with subscribed(endpoint) as subscriber:
            await until(lambda: version(subscriber) == "a")
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            async with subscribed(endpoint) as subscriber:
                await until(lambda subscriber=subscriber: version(subscriber) == "a")  # type: ignore[misc]
        assert len(os.listdir("/proc/self/fd")) <= before + 1  # the publisher's end may be open a moment longer


async def test_no_telemetry_and_telemetry_are_one_line_each(
    endpoint: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO", "xpu.telemetry")
    monkeypatch.setattr(link, "PATIENCE", 1.5)  # longer than it takes to see what broke a connection
    async with subscribed(endpoint, limits=Limits(largest=2000)) as subscriber:
        await until(lambda: "no telemetry" in caplog.text)
        with publishing(endpoint) as publisher:
            publisher.publish(snapshot("a"))
            await until(lambda: version(subscriber) == "a")
            publisher.publish(full_snapshot(8))  # and again at each connection, as the newest
            await until(lambda: subscriber.counters.dropped["too large"] == 2)

    said = [record.getMessage() for record in caplog.records if "telemetry" in record.getMessage()]
    assert said == ["no telemetry", "receives telemetry", "no telemetry"]
