"""The Level-Zero sidecar with a simulated library: how fast a fault is at the kubelet, what sidecar and child cost."""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.calls import activity
from bench.figures import Row, milliseconds
from bench.measurements import Lists, all_healthy
from bench.process import cpu_seconds, memory_text, running
from processes import children_of
from xpu_simulator.level_zero.faults import WELL, Fault
from xpu_simulator.level_zero.node_library import NodeLibrary
from xpu_simulator.node import Gpu

PROGRAM = Path(sys.executable).with_name("xpu-level-zero-sidecar")
MOST_COUNTED = 20.0  # seconds
INTERVAL = 1.0  # seconds between samples, the default


@dataclass
class Sidecar:
    library: NodeLibrary
    endpoint: str
    pid: int

    @property
    def child(self) -> int:
        (child,) = children_of(self.pid)
        return child


@asynccontextmanager
async def sidecar(gpus: Mapping[str, Gpu], *flags: str) -> AsyncIterator[Sidecar]:
    with tempfile.TemporaryDirectory(prefix="xpu-bench-") as directory:
        library = NodeLibrary(Path(directory))
        await asyncio.to_thread(library.compile)
        library.show(gpus.values())
        endpoint = f"ipc://{directory}/s/level-zero.sock"
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            f"--library={library.path}",
            f"--publish={endpoint}",
            f"--sysfs-root={directory}",
            f"--kubelet-dir={directory}",
            f"--features-dir={directory}",
            "--metrics-address=127.0.0.1:0",
            *flags,
            env={**library.environment},
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield Sidecar(library, endpoint, process.pid)
        finally:
            process.terminate()
            await asyncio.wait_for(process.wait(), 10)


async def cost(seconds: float) -> list[Row]:
    """Memory and CPU time with eight GPUs sampled once a second."""
    async with sidecar({f"gpu{card}": Gpu(card=card) for card in range(8)}) as running_sidecar:
        await asyncio.sleep(3)  # the start is over
        pids = (running_sidecar.pid, running_sidecar.child)
        before = [cpu_seconds(pid) for pid in pids]
        await asyncio.sleep(seconds)
        used = [(cpu_seconds(pid) - cpu) / seconds * 1000 for pid, cpu in zip(pids, before, strict=True)]
        own, child = map(memory_text, pids)
        calls = [await activity(pid, min(seconds, MOST_COUNTED)) for pid in pids]
    shares = f"{used[0]:.2f} + {used[1]:.2f} ms per second"
    return [
        ("sidecar with 8 GPUs, its child apart", own, "resident ≤ 36 MiB"),
        ("its child with the library", child, "resident ≤ 30 MiB"),
        ("CPU of sidecar + child, 1 s sampling", shares, "< 10 ms per second"),
        ("calls of the sidecar, 1 s sampling", calls[0], "-"),
        ("calls of its child, 1 s sampling", calls[1], "-"),
    ]


async def faults(times: int) -> list[Row]:
    """A GPU overheats in the library until the kubelet has the list, and cools down again."""
    gpus = {f"gpu{card}": Gpu(card=card, numa_node=card % 2) for card in range(8)}
    durations = []
    async with sidecar(gpus) as measured:
        flags = (f"--telemetry={measured.endpoint}", "--health-leave-dwell=0s")
        async with running(8, *flags) as bench:
            await all_healthy(bench, 8)
            await asyncio.sleep(2)
            lists = Lists(bench)
            for number in range(times):
                await asyncio.sleep(number * INTERVAL / times)  # at every moment between two samples
                fault, count = (Fault(temperature=112), 7) if number % 2 == 0 else (WELL, 8)
                measured.library.fault("gpu3", fault, clear=True)
                measured.library.show(gpus.values())
                changed = time.monotonic()
                await all_healthy(bench, count)
                durations.append(max(0.0, lists.received[-1].at - changed))
    return [("fault in the library to list", milliseconds(durations), "max < 1,050 ms: a sampling period + 50 ms")]
