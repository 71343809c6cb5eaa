"""The XeLink sidecar: how soon a changed link is in the label file and at the plugin, and what the sidecar costs."""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import zmq

from bench.figures import Row, milliseconds
from bench.process import cpu_seconds, memory_text
from xpu_plugins.gpu.fabric import GpuFabric
from xpu_shared.policy.topology import Place
from xpu_shared.telemetry.subscriber import Subscriber
from xpu_shared.telemetry.topology_messages import TopologyReader
from xpu_simulator.fabric.description import End
from xpu_simulator.fabric.xpu_manager import XpuManager
from xpu_simulator.node import Node
from xpu_simulator.simulated_node import SimulatedNode

PROGRAM = Path(sys.executable).with_name("xpu-xelink-sidecar")
EIGHT = Node.model_validate({"gpus": [{"model": "max-1550"}] * 8, "fabric": "mesh"})


@asynccontextmanager
async def sidecar(root: Path, node: SimulatedNode, *flags: str) -> AsyncIterator[int]:
    """One at work; its process id."""
    (root / "features.d").mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        f"--publish=ipc://{root}/s/xelink.sock",
        f"--features-dir={root}/features.d",
        f"--sysfs-root={node.tree.sysfs}",
        f"--library={node.library.path}",
        "--metrics-address=127.0.0.1:0",
        "--startup-delay=0",
        "--interval=1",
        *flags,
        env={**node.library.environment},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 10)


async def changes(times: int) -> list[Row]:
    """From the response that shows a change to the label file, and to the answer of a plugin that is asked then."""
    files, choices = [], []
    with tempfile.TemporaryDirectory(prefix="xpu-bench-") as directory:
        root = Path(directory)
        node = SimulatedNode(EIGHT, root / "node")
        asked = [0.0]

        def text() -> str:
            page = node.xpu_manager_page()
            asked[0] = time.monotonic()
            return page

        xpum = XpuManager(text)
        cards = {f"card{gpu.card}": gpu.pci_address for gpu in EIGHT.gpus}
        known = GpuFabric()
        known.scanned({card: Place() for card in cards}, cards)
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        subscriber = Subscriber(f"ipc://{root}/s/xelink.sock", reader=TopologyReader(), context=context)
        subscriber.listen(lambda: known.take(subscriber.newest) if subscriber.newest else None)
        listening = asyncio.create_task(subscriber.run())
        label_file = root / "features.d/xpum-sidecar-labels.txt"
        try:
            async with sidecar(root, node, "--source=xpum", f"--xpum-url={xpum.url}"):
                for number in range(times):
                    down = number % 2 == 1
                    for tile in (0, 1):
                        node.fault_link(End("gpu0", tile), End("gpu1", tile), "down" if down else "up")
                    expected = ("card0-0", "card2-0") if down else ("card0-0", "card1-0")
                    seen = {"file": 0.0, "choice": 0.0}
                    changed = asked[0]
                    while not all(seen.values()):
                        await asyncio.sleep(0.0005)
                        now = time.monotonic()
                        if asked[0] <= changed:
                            continue
                        if not seen["choice"] and known.policy(now)(IDS, [], 2) == expected:
                            seen["choice"] = now
                        if not seen["file"] and _has(label_file, "0.0-1.0_") != down:
                            seen["file"] = now
                    files.append(max(0.0, seen["file"] - asked[0]))
                    choices.append(max(0.0, seen["choice"] - asked[0]))
        finally:
            listening.cancel()
            await asyncio.wait({listening})
            context.destroy(0)
            xpum.close()
    return [
        ("link change: response to label file", milliseconds(files), "< 100 ms"),
        ("link change: response to next preference", milliseconds(choices), "< 100 ms"),
    ]


IDS = [f"card{card}-0" for card in range(8)]


def _has(path: Path, text: str) -> bool | None:
    """None: there is no file."""
    try:
        return text in path.read_text()
    except FileNotFoundError:
        return None


async def cost(seconds: float) -> list[Row]:
    """Eight GPUs of two tiles, all linked with all, looked at once a second; the default is every ten."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="xpu-bench-") as directory:
        root = Path(directory)
        node = SimulatedNode(EIGHT, root / "node")
        await asyncio.to_thread(node.library.compile)
        xpum = XpuManager(node.xpu_manager_page)
        try:
            for flags in (["--source=native"], ["--source=xpum", f"--xpum-url={xpum.url}"]):
                async with sidecar(root, node, *flags) as pid:
                    await asyncio.sleep(4)  # the start is over
                    before = cpu_seconds(pid)
                    await asyncio.sleep(seconds)
                    used = (cpu_seconds(pid) - before) / seconds * 1000
                    name = flags[0].removeprefix("--source=")
                    rows += [
                        (f"XeLink sidecar, {name}, its child apart", memory_text(pid), "resident ≤ 36 MiB"),
                        (f"CPU of it with 56 links, {name}, 1 s interval", f"{used:.2f} ms per second", "-"),
                    ]
        finally:
            xpum.close()
    return rows
