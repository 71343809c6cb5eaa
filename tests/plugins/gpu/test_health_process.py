"""The plugin as a process: killed and started again, and what it imports for which flags."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gpu_telemetry import publisher_process
from xpu_simulator.kubelet.events import ListReceived
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.node import Gpu
from xpu_simulator.tree import SimulatedTree

PROGRAM = Path(sys.executable).with_name("xpu-gpu-plugin")
I915 = "gpu.intel.com/i915"


@asynccontextmanager
async def plugin(root: Path, tree: SimulatedTree, *flags: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        f"--sysfs-root={tree.sysfs}",
        f"--dev-root={tree.dev}",
        f"--kubelet-dir={root / 'k'}",
        f"--cdi-dir={root / 'cdi'}",
        *flags,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_killed_and_started_again(tmp_path: Path) -> None:
    """It is right within two seconds, and never says anything else in between."""
    tree = SimulatedTree(tmp_path, device_nodes=False)
    gpus = [Gpu(card=card) for card in range(2)]
    for gpu in gpus:
        tree.add_gpu(gpu)
    well, ill = (gpu.pci_address for gpu in gpus)
    endpoint = f"ipc://{tmp_path}/run/telemetry.sock"
    lists: list[ListReceived] = []
    async with (
        SimulatedKubelet(tmp_path / "k") as kubelet,
        publisher_process(endpoint, f"{well}=50", f"{ill}=112"),
    ):
        kubelet.events.subscribe(lambda event: lists.append(event) if isinstance(event, ListReceived) else None)
        for number in range(1, 5):
            started = time.monotonic()
            async with plugin(tmp_path, tree, f"--telemetry={endpoint}") as process:
                await kubelet.wait_until(lambda number=number: len(lists) == number)  # type: ignore[misc]  # a default keeps it
                assert time.monotonic() - started < 2
                process.kill()
                await process.wait()

    assert [list(event.unhealthy) for event in lists] == [["card1-0"]] * 4


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), set()),
        (("-xpumd-endpoint=/run/xpumd/x.sock",), {"xpu_plugins.gpu.judged"}),
        (("-health-management",), {"xpu_plugins.gpu.judged"}),
        (("-wsl",), set()),
    ],
)
def test_what_costs_memory_is_imported_by_those_who_need_it(flags: tuple[str, ...], expected: set[str]) -> None:
    """ZeroMQ and telemetry's messages come with the work, when it begins."""
    code = (
        "import sys; from xpu_plugins.gpu.program import PROGRAM as p; p.plugin(p.settings(p.load(sys.argv[1:])));"
        "print(*(m for m in sys.modules if m in {'zmq', 'xpu_plugins.gpu.judged', 'xpu_wire.telemetry_pb2',"
        "'xpu_wire.deviceinfo_v1alpha1_pb2', 'prometheus_client', 'yaml', 'pydantic', 'grpc'}))"
    )
    found = subprocess.run([sys.executable, "-c", code, *flags], capture_output=True, text=True, check=True)

    assert set(found.stdout.split()) == expected
