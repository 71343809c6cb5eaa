"""What telemetry costs: making and reading messages, and the way from a publisher to its subscribers."""

import asyncio
import tempfile
import time
from contextlib import AsyncExitStack

from bench.figures import Row, milliseconds
from bench.measurements import timed
from telemetry_examples import envelope, full_snapshot
from telemetry_transport import publishing, subscribed, until
from xpu_shared.telemetry.decoding import SnapshotReader
from xpu_shared.telemetry.envelope import decode, encode
from xpu_shared.telemetry.kinds import Group

JUDGED = frozenset({Group.IDENTITY, Group.STATE, Group.PCI, Group.MEMORY, Group.TEMPERATURE, Group.RAS})


def messages(runs: int) -> list[Row]:
    rows: list[Row] = []
    for count in (8, 64):
        message = envelope(full_snapshot(count))
        frame = encode(message)
        rows += [
            (f"message of {count} GPUs with every field", f"{len(frame) / 1024:.1f} KiB", "≤ 64 KiB"),
            (f"make it, {count} GPUs", milliseconds(timed(lambda: encode(message), runs)), "-"),  # noqa: B023 - called at once
            (f"read all of it, {count} GPUs", milliseconds(timed(lambda: decode(frame, SnapshotReader()), runs)), "-"),  # noqa: B023 - as above
            (
                f"read what is judged, {count} GPUs",
                milliseconds(timed(lambda: decode(frame, SnapshotReader(groups=JUDGED)), runs)),  # noqa: B023 - as above
                "-",
            ),
        ]
    return rows


async def fan_out(times: int) -> list[Row]:
    """Published to read by the last of some subscribers, all on one event loop, which serves them one by one."""
    rows: list[Row] = []
    payload = full_snapshot(8)
    for count in (1, 4, 20):
        durations = []
        with tempfile.TemporaryDirectory(prefix="xpu-bench-") as directory:
            endpoint = f"ipc://{directory}/telemetry/x.sock"
            with publishing(endpoint) as publisher:
                async with AsyncExitStack() as stack:
                    readers = [await stack.enter_async_context(subscribed(endpoint)) for _ in range(count)]
                    await until(lambda: publisher.counters.subscriptions == count)  # noqa: B023 - called at once
                    came = asyncio.Semaphore(0)
                    for reader in readers:
                        reader.listen(came.release)
                    for _ in range(times):
                        await asyncio.sleep(0.1)  # as long as a subscriber may rest after a message
                        started = time.perf_counter()
                        publisher.publish(payload)
                        for _ in readers:
                            await came.acquire()
                        durations.append(time.perf_counter() - started)
        what = "subscriber" if count == 1 else "subscribers"
        target = "p50 < 20 ms" if count == 1 else "-"
        rows.append((f"snapshot of 8 GPUs to {count} {what}", milliseconds(durations), target))
    return rows
