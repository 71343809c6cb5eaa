"""A simulated node as a monitoring system meets it: GPU plugin and Level-Zero sidecar with their pages, and pods."""

import asyncio
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.level_zero.faults import Fault
from xpu_simulator.level_zero.node_library import NodeLibrary
from xpu_simulator.node import Gpu
from xpu_simulator.tree import SimulatedTree

PROGRAMS = Path(sys.executable).parent
RESOURCE = "gpu.intel.com/i915"
SHARED = 2
PATIENCE = 20.0  # seconds


@dataclass
class MonitoredNode:
    root: Path
    gpus: Mapping[str, Gpu]
    library: NodeLibrary
    kubelet: SimulatedKubelet
    ports: Mapping[str, int]  # of the pages, by program

    def page(self, program: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[program]}/metrics", timeout=5) as answer:
            text: str = answer.read().decode()
            return text

    async def missing(self, names: set[str]) -> set[str]:
        """The metrics that no page has, after a while for what takes two samples or a question to the kubelet."""
        deadline = time.monotonic() + PATIENCE
        while missing := names - await asyncio.to_thread(lambda: self.metrics):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.2)
        return missing

    def fault(self, gpu: str, fault: Fault) -> None:
        self.library.fault(gpu, fault, clear=False)
        self.library.show(self.gpus.values())

    @property
    def metrics(self) -> set[str]:
        """The names of all metrics on both pages, as the text format has them."""
        lines = (line for program in self.ports for line in self.page(program).splitlines())
        return {line.split()[2] for line in lines if line.startswith("# TYPE ")}


@asynccontextmanager
async def monitored_node(count: int = 4) -> AsyncIterator[MonitoredNode]:
    """A node whose GPUs are shared by two; `train` has one for itself, `left` and `right` share another."""
    with tempfile.TemporaryDirectory(prefix="xpu-m-", dir="/tmp") as directory:
        root = Path(directory)
        tree = SimulatedTree(root, device_nodes=False)
        gpus = {f"gpu{card}": Gpu(card=card) for card in range(count)}
        for gpu in gpus.values():
            tree.add_gpu(gpu)
        library = NodeLibrary(root)
        await asyncio.to_thread(library.compile)
        library.show(gpus.values())
        telemetry = f"ipc://{root}/s/level-zero.sock"
        ports = {program: free_port() for program in ("xpu-gpu-plugin", "xpu-level-zero-sidecar")}
        own = {
            "xpu-gpu-plugin": (
                f"--dev-root={tree.dev}",
                f"--cdi-dir={root}/cdi",
                f"--uevent-socket={root}/uevents",
                f"--telemetry={telemetry}",
                f"--shared-dev-num={SHARED}",
                "--allocation-policy=packed",
            ),
            "xpu-level-zero-sidecar": (
                f"--library={library.path}",
                f"--publish={telemetry}",
                f"--features-dir={root}",
            ),
        }
        async with SimulatedKubelet(root / "kubelet") as kubelet:
            processes = [
                await asyncio.create_subprocess_exec(
                    PROGRAMS / program,
                    f"--sysfs-root={tree.sysfs}",
                    f"--kubelet-dir={root}/kubelet",
                    f"--metrics-address=127.0.0.1:{ports[program]}",
                    *flags,
                    env={**library.environment},
                    stderr=asyncio.subprocess.DEVNULL,
                )
                for program, flags in own.items()
            ]
            try:
                await kubelet.wait_for_list(RESOURCE, lambda found: found.allocatable == count * SHARED, timeout=30)
                await kubelet.admit("train", {RESOURCE: SHARED})
                for pod in ("left", "right"):
                    await kubelet.admit(pod, {RESOURCE: 1})
                yield MonitoredNode(root, gpus, library, kubelet, ports)
            finally:
                for process in processes:
                    process.terminate()
                for process in processes:
                    await asyncio.wait_for(process.wait(), 10)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
