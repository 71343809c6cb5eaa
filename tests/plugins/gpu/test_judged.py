"""The plugin beside a kubelet and a publisher, over real sockets: health, losses, containers' environment."""

import asyncio
import json
import logging
import signal
import socket
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from framework import Node, running
from gpu_telemetry import gpu, gpus, publisher_process, publishing
from xpu_plugins.gpu.judged import JudgedGpuPlugin
from xpu_plugins.gpu.program import PROGRAM
from xpu_plugins.gpu.settings import GpuSettings
from xpu_shared.program.options import ListenAddress
from xpu_shared.telemetry.kinds import MemoryHealth
from xpu_shared.telemetry.readings import DeviceReading, DeviceSnapshot
from xpu_simulator.kubelet.resources import Resource
from xpu_simulator.node import Gpu
from xpu_simulator.tree import SimulatedTree

I915 = "gpu.intel.com/i915"
CARDS = [Gpu(card=card) for card in range(2)]
A, B = (card.pci_address for card in CARDS)


@pytest.fixture
def tree(tmp_path: Path) -> SimulatedTree:
    tree = SimulatedTree(tmp_path / "tree", device_nodes=False)
    for card in CARDS:
        tree.add_gpu(card)
    return tree


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/run/telemetry.sock"


def settings(tree: SimulatedTree, endpoint: str, **choices: object) -> GpuSettings:
    values: Mapping[str, object] = {
        "sysfs_root": tree.sysfs,
        "dev_root": tree.dev,
        "telemetry": (endpoint,),
        "health_management": True,
        "health_leave_dwell": 0.0,
        **choices,
    }
    return GpuSettings(**values)  # type: ignore[arg-type]  # tests name any of its fields


@asynccontextmanager
async def plugin_with(tree: SimulatedTree, tmp_path: Path, endpoint: str, **choices: object) -> AsyncIterator[Node]:
    async with running(tmp_path, JudgedGpuPlugin(settings(tree, endpoint, **choices))) as node:
        yield node


def allocatable(count: int, capacity: int = 2) -> Callable[[Resource], bool]:
    return lambda listed: (listed.allocatable, listed.capacity) == (count, capacity)


def unhealthy(node: Node) -> list[str]:
    """The ids that the kubelet was last told to be ill."""
    return sorted(node.lists[-1].unhealthy)


async def test_a_hot_gpu_leaves_service_and_comes_back(tree: SimulatedTree, tmp_path: Path, endpoint: str) -> None:
    with publishing(endpoint) as publisher:
        publisher.publish(gpus(gpu(A), gpu(B)))
        async with plugin_with(tree, tmp_path, endpoint) as node:
            await node.kubelet.wait_for_list(I915, allocatable(2))

            publisher.publish(gpus(gpu(A), gpu(B, 112.0)))
            await node.kubelet.wait_for_list(I915, allocatable(1))
            assert unhealthy(node) == ["card1-0"]

            publisher.publish(gpus(gpu(A), gpu(B, 97.0)))  # neither hot nor cool
            publisher.publish(gpus(gpu(A), gpu(B, 95.0)))
            await node.kubelet.wait_for_list(I915, allocatable(2))
            assert [len(event.unhealthy) for event in node.lists] == [0, 1, 0]


async def test_a_sidecar_on_a_unix_socket_need_not_know_the_node_s_name(
    tree: SimulatedTree, tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_NAME", "worker-7")  # the plugin's container has it, the publisher says node-1
    with publishing(endpoint) as publisher:
        publisher.publish(gpus(gpu(A), gpu(B, 112.0)))
        async with plugin_with(tree, tmp_path, endpoint) as node:
            await node.kubelet.wait_for_list(I915, allocatable(1))


async def test_the_first_list_knows_what_the_source_says_at_once(
    tree: SimulatedTree, tmp_path: Path, endpoint: str
) -> None:
    with publishing(endpoint) as publisher:
        publisher.publish(gpus(gpu(A, 112.0), gpu(B, memory=MemoryHealth.CRITICAL)))
        async with plugin_with(tree, tmp_path, endpoint) as node:
            await node.kubelet.wait_for_list(I915)

            assert [sorted(event.unhealthy) for event in node.lists] == [["card0-0", "card1-0"]]


async def test_without_a_source_the_first_list_waits_for_a_moment_only(
    tree: SimulatedTree, tmp_path: Path, endpoint: str
) -> None:
    async with plugin_with(tree, tmp_path, endpoint) as node:
        await node.kubelet.wait_for_list(I915, allocatable(2), timeout=3)


async def test_all_shares_of_a_gpu_have_one_health_and_monitoring_has_none(
    tree: SimulatedTree, tmp_path: Path, endpoint: str
) -> None:
    with publishing(endpoint) as publisher:
        publisher.publish(gpus(gpu(A, 112.0), gpu(B)))
        async with plugin_with(tree, tmp_path, endpoint, shared_dev_num=3, enable_monitoring=True) as node:
            await node.kubelet.wait_for_list(I915, allocatable(3, 6))
            await node.kubelet.wait_for_list("gpu.intel.com/monitoring", allocatable(1, 1))

            lists = {event.resource: event for event in node.lists}
            assert sorted(lists[I915].unhealthy) == ["card0-0", "card0-1", "card0-2"]


@pytest.mark.parametrize(
    "nonsense",
    [
        gpus(),
        gpus(gpu("0000:ff:1f.7", 112.0)),
        gpus(gpu("nonsense", 112.0)),
        gpus(gpu(A, float("nan"), age=0.0), gpu(B, float("inf"))),
        gpus(gpu(A, 1e9), gpu(B, -273.0)),
        gpus(gpu(A, 112.0, age=100.0)),
        DeviceSnapshot(unavailable="x" * 100_000),
    ],
)
async def test_what_cannot_be_used_changes_nothing(
    tree: SimulatedTree, tmp_path: Path, endpoint: str, nonsense: DeviceSnapshot
) -> None:
    with publishing(endpoint) as publisher:
        publisher.publish(gpus(gpu(A), gpu(B, 112.0)))
        async with plugin_with(tree, tmp_path, endpoint) as node:
            await node.kubelet.wait_for_list(I915, allocatable(1))
            publisher.publish(nonsense)
            publisher.publish(gpus(gpu(A, 112.0)))
            await node.kubelet.wait_for_list(I915, allocatable(0))

            assert [len(event.unhealthy) for event in node.lists] == [1, 2]


class Told(logging.Handler):
    """What the log says of one GPU's health."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.reasons: list[str] = []
        self.unknown = asyncio.Event()
        self._address = address

    def emit(self, record: logging.LogRecord) -> None:
        fields = record.__dict__["fields"]
        if record.getMessage() == "health changed" and fields["gpu"] == self._address:
            self.reasons.append(fields["reason"])
            if "unknown" in fields["reason"]:
                self.unknown.set()


class TestLosses:
    async def test_a_publisher_that_is_killed_changes_nothing_and_is_found_again(
        self, tree: SimulatedTree, tmp_path: Path, endpoint: str
    ) -> None:
        async with plugin_with(tree, tmp_path, endpoint) as node:
            for _ in range(3):
                async with publisher_process(endpoint, f"{A}=50", f"{B}=112", validity=0.5) as process:
                    await node.kubelet.wait_for_list(I915, allocatable(1))
                    process.kill()
            async with publisher_process(endpoint, f"{A}=50", f"{B}=60"):
                await node.kubelet.wait_for_list(I915, allocatable(2), timeout=5)

            assert [len(event.unhealthy) for event in node.lists if event.unhealthy] == [1]

    async def test_a_sidecar_that_hangs_holds_nothing_up(
        self, tree: SimulatedTree, tmp_path: Path, endpoint: str
    ) -> None:
        async with publisher_process(endpoint, f"{A}=112") as process:
            process.send_signal(signal.SIGSTOP)
            async with plugin_with(tree, tmp_path, endpoint) as node:
                await node.kubelet.wait_for_list(I915, allocatable(2), timeout=3)
                tree.remove_gpu(CARDS[1])
                node.uevent("drm")
                await node.kubelet.wait_for_list(I915, allocatable(1), timeout=3)

    async def test_a_plugin_that_is_started_again_is_right_at_once(
        self, tree: SimulatedTree, tmp_path: Path, endpoint: str
    ) -> None:
        async with publisher_process(endpoint, f"{A}=50", f"{B}=112"):
            for number in range(2):
                root = tmp_path / str(number)
                async with plugin_with(tree, root, endpoint) as node:
                    await node.kubelet.wait_for_list(I915, allocatable(1), timeout=2)
                    assert len(node.lists) == 1

    async def test_data_that_grows_old_changes_nothing_but_is_told(
        self, tree: SimulatedTree, tmp_path: Path, endpoint: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        told = Told(B)
        logging.getLogger("xpu").addHandler(told)
        caplog.set_level("INFO", "xpu")
        with publishing(endpoint, validity=0.3) as publisher:
            publisher.publish(gpus(gpu(A), gpu(B, 112.0)))
            async with plugin_with(tree, tmp_path, endpoint) as node:
                await node.kubelet.wait_for_list(I915, allocatable(1))
                async with asyncio.timeout(10):
                    await told.unknown.wait()

                assert told.reasons[-1].startswith("temperature-gpu: gpu temperature 112 > 100; unknown: ")
                assert len(node.lists) == 1
        logging.getLogger("xpu").removeHandler(told)

    async def test_unless_it_is_to_be_taken_out(self, tree: SimulatedTree, tmp_path: Path, endpoint: str) -> None:
        with publishing(endpoint, validity=0.5) as publisher:
            publisher.publish(gpus(gpu(A), gpu(B)))
            async with plugin_with(tree, tmp_path, endpoint, health_stale="unhealthy") as node:
                await node.kubelet.wait_for_list(I915, allocatable(2))
                await node.kubelet.wait_for_list(I915, allocatable(0))
                publisher.publish(gpus(gpu(A)))
                await node.kubelet.wait_for_list(I915, allocatable(1))


class TestEnvironment:
    readings: tuple[DeviceReading, ...] = (gpu(A, uuid="u", tiles=2), gpu(B))

    async def envs(self, tree: SimulatedTree, tmp_path: Path, endpoint: str, **choices: object) -> Mapping[str, str]:
        """Of a container with both GPUs."""
        with publishing(endpoint) as publisher:
            uuid = "00000000-0000-0000-0000-0000e2b80386"
            publisher.publish(gpus(gpu(A, uuid=uuid, tiles=2), gpu(B)))
            async with plugin_with(tree, tmp_path, endpoint, **choices) as node:
                await node.kubelet.wait_for_list(I915, allocatable(2))
                pod = await node.kubelet.admit("pod", {I915: 2})
                return dict(pod.given.envs)

    async def test_a_container_is_told_what_only_the_source_knows(
        self, tree: SimulatedTree, tmp_path: Path, endpoint: str
    ) -> None:
        assert await self.envs(tree, tmp_path, endpoint) == {
            "XPU_GPU_MEMORY_BYTES": "17179869184,17179869184",
            "XPU_GPU_UUIDS": "00000000-0000-0000-0000-0000e2b80386,",
            "XPU_GPU_TILES": "2,1",
        }

    async def test_unless_it_shall_not(self, tree: SimulatedTree, tmp_path: Path, endpoint: str) -> None:
        assert await self.envs(tree, tmp_path, endpoint, inject_env=False) == {}


async def test_without_health_containers_are_told_and_nothing_is_judged(
    tree: SimulatedTree, tmp_path: Path, endpoint: str
) -> None:
    with publishing(endpoint) as publisher:
        publisher.publish(gpus(gpu(A, 200.0), gpu(B)))
        async with plugin_with(tree, tmp_path, endpoint, health_management=False) as node:
            await node.kubelet.wait_for_list(I915, allocatable(2))
            async with asyncio.timeout(10):
                while not (await node.kubelet.admit("pod", {I915: 2})).given.envs:  # the message may not be there yet
                    node.kubelet.delete("pod")


async def test_the_page_says_why_a_gpu_is_ill_and_what_was_received(
    tree: SimulatedTree, tmp_path: Path, endpoint: str
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = ListenAddress("127.0.0.1", probe.getsockname()[1])
    with publishing(endpoint) as publisher:
        publisher.publish(gpus(gpu(B, 112.0)))
        async with running(tmp_path, JudgedGpuPlugin(settings(tree, endpoint)), metrics_address=address) as node:
            await node.kubelet.wait_for_list(I915, allocatable(1))
            text = await asyncio.to_thread(page, address.port)

    for line in (
        f'xpu_device_health{{device="card0-0",reason="unknown",resource="{I915}"}} 1.0',
        f'xpu_device_health{{device="card1-0",reason="temperature-gpu",resource="{I915}"}} 0.0',
        f'xpu_telemetry_received_total{{endpoint="{endpoint}",topic="devices"}} 1.0',
        f'xpu_telemetry_connected{{endpoint="{endpoint}",topic="devices"}} 1.0',
    ):
        assert line in text


def page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        return str(response.read().decode())


async def test_beside_xpumd_telemetry_is_no_second_source_of_health(
    tree: SimulatedTree, tmp_path: Path, endpoint: str
) -> None:
    choices: Mapping[str, object] = {"health_management": False, "xpumd_endpoint": tmp_path / "nobody"}
    with publishing(endpoint) as publisher:
        publisher.publish(gpus(gpu(A, 200.0), gpu(B)))
        async with plugin_with(tree, tmp_path, endpoint, **choices) as node:
            await node.kubelet.wait_for_list(I915, allocatable(2))
            pod = await node.kubelet.admit("pod", {I915: 2})

            assert "XPU_GPU_MEMORY_BYTES" in pod.given.envs
            assert [len(event.unhealthy) for event in node.lists] == [0]


class TestDiscover:
    def discover(
        self, tree: SimulatedTree, endpoint: str, capsys: pytest.CaptureFixture[str], *flags: str
    ) -> tuple[str, str]:
        roots = (f"--sysfs-root={tree.sysfs}", f"--dev-root={tree.dev}")
        assert PROGRAM.main(["discover", *roots, f"--telemetry={endpoint}", *flags]) == 0
        out, err = capsys.readouterr()
        return out, err

    async def test_it_says_what_is_ill_and_why(
        self, tree: SimulatedTree, endpoint: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        async with publisher_process(endpoint, f"{A}=50", f"{B}=112"):
            out, err = await asyncio.to_thread(self.discover, tree, endpoint, capsys)

        assert not err
        assert "card1-0  gpu" not in out
        assert [line.split()[1:3] for line in out.splitlines()[1:3]] == [
            ["card0-0", "Healthy"],
            ["card1-0", "Unhealthy"],
        ]
        assert out.splitlines()[4].split() == ["UNHEALTHY", "REASON"]
        assert out.splitlines()[5] == "card1-0    temperature-gpu: gpu temperature 112 > 100"

    async def test_it_says_what_is_not_known(
        self, tree: SimulatedTree, endpoint: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        async with publisher_process(endpoint, f"{A}=50"):
            out, err = await asyncio.to_thread(self.discover, tree, endpoint, capsys, "--output=json")

        (resource,) = json.loads(out)["resources"]
        assert [(device["id"], device["health"], device.get("conditions")) for device in resource["devices"]] == [
            ("card0-0", "Healthy", None),
            ("card1-0", "Healthy", ["unknown"]),
        ]
        assert not err
