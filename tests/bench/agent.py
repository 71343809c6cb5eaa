"""The node agent with all families on one node, and each family's own program on the same node."""

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
from bench.process import cpu_seconds, memory_text
from xpu_plugins.node_agent.families import FAMILIES
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.node import Node
from xpu_simulator.tree import SimulatedTree

QUEUES = [{"mode": "shared"}, {}, {}, {}]
NODE = Node.model_validate(
    {
        "gpus": [{"numa_node": card % 2} for card in range(8)],
        "dsa": [{"queues": QUEUES} for _ in range(4)],
        "iaa": [{"queues": QUEUES} for _ in range(4)],
        "dlb": [{"vfs": 4}, {}],
        "sgx": {},
        "npus": [{}],
    }
)
RESOURCES: Mapping[str, int] = {
    "gpu.intel.com/i915": 8,
    "dsa.intel.com/wq-user-shared": 4,
    "dsa.intel.com/wq-user-dedicated": 12,
    "iaa.intel.com/wq-user-shared": 4,
    "iaa.intel.com/wq-user-dedicated": 12,
    "dlb.intel.com/pf": 1,
    "dlb.intel.com/vf": 4,
    "sgx.intel.com/enclave": 110,
    "sgx.intel.com/provision": 110,
    "npu.intel.com/accel": 1,
}
MOST_COUNTED = 20.0  # seconds
FILE = "gpu: {allocation-policy: balanced}\ndsa: {preferred: pack}\n"


@dataclass(frozen=True)
class Running:
    kubelet: SimulatedKubelet
    pid: int
    started: float  # monotonic seconds

    async def lists_everything(self, namespace: str = "") -> float:
        """Until all resources, or those of one namespace, are listed; returns the seconds since the start."""
        for resource, count in RESOURCES.items():
            if resource.startswith(namespace):
                await self.kubelet.wait_for_list(resource, lambda found: found.allocatable == count, timeout=30)  # noqa: B023
        return time.monotonic() - self.started

    @property
    def memory(self) -> str:
        return memory_text(self.pid)


@asynccontextmanager
async def running(program: str, *flags: str, file: str = "") -> AsyncIterator[Running]:
    """Start a program of ours on the node, beside a kubelet that is already there."""
    with tempfile.TemporaryDirectory(prefix="xpu-bench-") as directory:
        root = Path(directory)
        tree = SimulatedTree(root)
        for device in NODE.devices:
            tree.add(device)
        if file:
            (root / "agent.yaml").write_text(file)
            flags = (*flags, f"--config={root}/agent.yaml")
        async with SimulatedKubelet(root / "kubelet") as kubelet:
            started = time.monotonic()
            process = await asyncio.create_subprocess_exec(
                Path(sys.executable).with_name(program),
                f"--sysfs-root={root}/sys",
                f"--dev-root={root}/dev",
                f"--kubelet-dir={root}/kubelet",
                f"--cdi-dir={root}/cdi",
                f"--uevent-socket={root}/uevents",
                *flags,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                yield Running(kubelet, process.pid, started)
            finally:
                process.terminate()
                await asyncio.wait_for(process.wait(), 10)


async def agent(runs: int, idle_seconds: float) -> list[Row]:
    what = f"agent, {len(FAMILIES)} families, {sum(RESOURCES.values())} devices"
    starts = []
    for _ in range(runs):
        async with running("xpu-node-agent") as process:
            starts.append(await process.lists_everything())
    rows: list[Row] = [(f"{what}: start to all lists", milliseconds(starts), "< 800 ms")]
    async with running("xpu-node-agent") as process:
        await process.lists_everything()
        await asyncio.sleep(3)  # its later looks after the start are over
        cpu = cpu_seconds(process.pid)
        await asyncio.sleep(idle_seconds)
        used = (cpu_seconds(process.pid) - cpu) / idle_seconds * 1000
        rows += [
            (f"{what}: idle CPU", f"{used:.2f} ms per second", "< 0.5 ms per second"),
            (f"{what}: idle calls", await activity(process.pid, min(idle_seconds, MOST_COUNTED)), "-"),
            (f"{what}: memory, flags only", process.memory, "resident ≤ 50 MiB"),
        ]
    async with running("xpu-node-agent", "--metrics-address=127.0.0.1:0", file=FILE) as process:
        await process.lists_everything()
        rows.append((f"{what}: memory, file and metrics", process.memory, "resident ≤ 62 MiB with telemetry"))
    return rows


async def single_programs() -> list[Row]:
    rows: list[Row] = []
    for family in FAMILIES:
        async with running(f"xpu-{family}-plugin") as process:
            await process.lists_everything(f"{family}.")
            rows.append((f"memory of xpu-{family}-plugin", process.memory, "resident ≤ 42 MiB"))
    return rows
