"""The program under test as a process of its own on a simulated node, and what the kernel says of it."""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from xpu_simulator.device import uevents
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.node import Gpu
from xpu_simulator.plugin_process import command_line
from xpu_simulator.tree import SimulatedTree
from xpu_simulator.uevents import UeventSender

OURS = "xpu-gpu-plugin"
RESOURCE = "gpu.intel.com/i915"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Bench:
    kubelet: SimulatedKubelet
    tree: SimulatedTree
    gpus: list[Gpu]
    sender: UeventSender
    process: asyncio.subprocess.Process
    started: float  # monotonic seconds

    def send(self, action: str, gpu: Gpu) -> float:
        """Tell the plugin of a change; returns when."""
        now = time.monotonic()
        self.sender.send(uevents(gpu, action))
        return now

    def memory(self) -> tuple[float, float]:
        """Resident and anonymous MiB."""
        return memory(self.process.pid)

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.process.pid)

    def descriptors_and_threads(self) -> tuple[int, int]:
        process = Path(f"/proc/{self.process.pid}")
        return len(os.listdir(process / "fd")), len(os.listdir(process / "task"))


def memory(pid: int) -> tuple[float, float]:
    """Resident and anonymous MiB."""
    sizes = _sizes(pid)
    return sizes["Rss:"], sizes["Anonymous:"]


def memory_text(pid: int) -> str:
    """Resident; resident with what is shared divided among those who share it; changed and its own; anonymous."""
    sizes = _sizes(pid)
    return (
        f"resident {sizes['Rss:']:.1f}, proportional {sizes['Pss:']:.1f}, private dirty {sizes['Private_Dirty:']:.1f}, "
        f"anonymous {sizes['Anonymous:']:.1f} MiB"
    )


def _sizes(pid: int) -> dict[str, float]:
    """MiB by the kernel's names."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return {line.split()[0]: int(line.split()[1]) / 1024 for line in lines[1:]}


def cpu_seconds(pid: int) -> float:
    schedstat = Path(f"/proc/{pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in schedstat.iterdir()) / 1e9


@asynccontextmanager
async def running(gpu_count: int, *flags: str, command: str = OURS) -> AsyncIterator[Bench]:
    """Start the GPU plugin beside a kubelet that is already there.

    Args:
        command: of ours or another one, with the placeholders of `xpu-simulator run --plugin`, and {root}, the
            directory of sys and dev.
    """
    with tempfile.TemporaryDirectory(prefix="xpu-bench-") as directory:
        root = Path(directory)
        tree = SimulatedTree(root, device_nodes=False)
        gpus = [Gpu(card=card, numa_node=card % 2) for card in range(gpu_count)]
        for gpu in gpus:
            tree.add_gpu(gpu)
        async with SimulatedKubelet(root / "kubelet") as kubelet:
            started = time.monotonic()
            paths = {
                "root": root,
                "sysfs_root": tree.sysfs,
                "dev_root": tree.dev,
                "host_dev_root": tree.dev,
                "kubelet_dir": root / "kubelet",
                "cdi_dir": root / "cdi",
                "uevent_socket": root / "uevents",
            }
            process = await asyncio.create_subprocess_exec(
                *command_line(command, paths), *flags, stderr=asyncio.subprocess.DEVNULL
            )
            try:
                yield Bench(kubelet, tree, gpus, UeventSender(root / "uevents"), process, started)
            finally:
                if process.returncode is None:
                    process.terminate()
                await asyncio.wait_for(process.wait(), 10)
