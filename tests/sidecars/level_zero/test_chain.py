"""From the library to the kubelet: sidecar, child and plugin as processes, killed at any time."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from processes import children_of
from xpu_simulator.kubelet.events import Event, ListReceived
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.level_zero.faults import Fault
from xpu_simulator.node import Gpu, Node
from xpu_simulator.simulated_node import SimulatedNode

I915 = "gpu.intel.com/i915"
PROMISED = 2.0  # seconds after a restart in which everything is right again
BUSY = 3.0  # seconds more that a busy machine may take


@pytest.fixture
def root() -> Generator[Path]:
    """A directory whose path is short enough for the kubelet's sockets."""
    with tempfile.TemporaryDirectory(prefix="lz-", dir="/tmp") as directory:
        yield Path(directory)


@dataclass
class Chain:
    root: Path
    node: SimulatedNode
    kubelet: SimulatedKubelet
    lists: list[ListReceived] = field(default_factory=list)
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def start(self, name: str) -> None:
        endpoint = f"ipc://{self.root}/t/level-zero.sock"
        flags = {
            "xpu-level-zero-sidecar": [
                f"--library={self.node.library.path}",
                f"--publish={endpoint}",
                "--sampling-interval=200ms",
                "--metrics-address=127.0.0.1:0",
            ],
            "xpu-gpu-plugin": [
                f"--telemetry={endpoint}",
                "--health-leave-dwell=1s",
                f"--dev-root={self.node.tree.dev}",
                f"--kubelet-dir={self.root / 'k'}",
                f"--cdi-dir={self.root / 'cdi'}",
            ],
        }[name]
        self.processes[name] = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name(name),
            f"--sysfs-root={self.node.tree.sysfs}",
            *flags,
            env={**os.environ, **self.node.library.environment},
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        if process.returncode is None:
            process.kill()
        await process.wait()

    def collector(self) -> int:
        (child,) = children_of(self.processes["xpu-level-zero-sidecar"].pid)
        return child

    async def lists_until(self, unhealthy: list[str], *, within: float = PROMISED + BUSY) -> None:
        await self.kubelet.wait_for_list(
            I915,
            lambda listed: (
                sorted(device.id for device in listed.devices.values() if device.health != "Healthy") == unhealthy
                and len(listed.devices) == 3
            ),
            timeout=within,
        )


@asynccontextmanager
async def chain(compiled: Path, root: Path) -> AsyncGenerator[Chain]:
    node = SimulatedNode(Node(gpus=[Gpu(card=card) for card in range(3)]), root / "n")
    node.library.path.symlink_to(compiled)
    async with AsyncExitStack() as stack:
        kubelet = await stack.enter_async_context(SimulatedKubelet(root / "k"))
        found = Chain(root, node, kubelet)

        def note(event: Event) -> None:
            if isinstance(event, ListReceived):
                found.lists.append(event)

        kubelet.events.subscribe(note)
        for name in ("xpu-level-zero-sidecar", "xpu-gpu-plugin"):
            await found.start(name)
            stack.push_async_callback(found.kill, name)
        await found.lists_until([], within=15)
        yield found


async def test_a_fault_takes_a_gpu_out_and_its_end_puts_it_back(compiled: Path, root: Path) -> None:
    async with chain(compiled, root) as found:
        for fault in (
            Fault(temperature=112),
            Fault(memory_health="replace"),
            Fault(bus=True),
            Fault(wedged=True),
            Fault(lost=True),
        ):
            found.node.fault("gpu1", fault)
            await found.lists_until(["card1-0"])
            found.node.fault("gpu1", Fault(), clear=True)
            await found.lists_until([])
    assert {id_ for event in found.lists for id_ in event.unhealthy} == {"card1-0"}


@pytest.mark.parametrize("fault", [Fault(hang=True), Fault(crash=True), Fault(memory_health="degraded")])
async def test_what_is_no_evidence_changes_nothing(compiled: Path, root: Path, fault: Fault) -> None:
    """A driver that hangs or crashes says nothing of the GPU, and degraded memory only warns."""
    async with chain(compiled, root) as found:
        lists = len(found.lists)
        found.node.fault("gpu1", fault)
        found.node.fault("gpu2", Fault(temperature=112))  # told although its neighbour hangs, or crashes the driver
        await found.lists_until(["card2-0"], within=15)
        assert [list(event.unhealthy) for event in found.lists[lists:]] == [["card2-0"]]


@pytest.mark.parametrize("victim", ["sidecar", "child", "plugin"])
async def test_killed_at_any_time_everything_is_right_again_soon(compiled: Path, root: Path, victim: str) -> None:
    async with chain(compiled, root) as found:
        found.node.fault("gpu1", Fault(temperature=112))
        await found.lists_until(["card1-0"])
        first = len(found.lists)
        for _ in range(2):
            started = time.monotonic()
            if victim == "child":
                os.kill(found.collector(), signal.SIGKILL)
            else:
                name = {"sidecar": "xpu-level-zero-sidecar", "plugin": "xpu-gpu-plugin"}[victim]
                await found.kill(name)
                await found.start(name)
            if victim == "plugin":
                await found.lists_until(["card1-0"])
            # The whole chain is at work again: another GPU's fault arrives.
            found.node.fault("gpu2", Fault(temperature=105))
            await found.lists_until(["card1-0", "card2-0"])
            assert time.monotonic() - started < PROMISED + 1.0 + BUSY  # a child is started after a second
            found.node.fault("gpu2", Fault(), clear=True)
            await found.lists_until(["card1-0"])
    told = {tuple(event.unhealthy) for event in found.lists[first:]}
    assert told <= {("card1-0",), ("card1-0", "card2-0")}
