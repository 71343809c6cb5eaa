"""GPUs within the Windows Subsystem for Linux: from the sidecar's list to what a container is given."""

from collections.abc import Callable
from pathlib import Path

import pytest

from framework import running
from gpu_telemetry import publishing, wsl
from xpu_plugins.gpu.program import PROGRAM
from xpu_plugins.gpu.settings import GpuSettings
from xpu_plugins.gpu.wsl import LARGEST_INDEX, affinity_mask, wsl_devices
from xpu_plugins.gpu.wsl_plugin import WslPlugin
from xpu_shared.device import DeviceNode, Mount
from xpu_shared.telemetry.kinds import Mode
from xpu_shared.telemetry.readings import DeviceSnapshot
from xpu_simulator.kubelet.resources import Resource

DXG = "gpu.intel.com/dxg"


def ids(*indices: int, shared: int = 1) -> list[str]:
    return [device.id for device in wsl_devices(indices, shared=shared).devices["dxg"]]


def test_each_index_is_a_gpu_with_the_one_device_file() -> None:
    (device,) = wsl_devices([3], shared=1).devices["dxg"]

    assert device.id == "card3-0"
    assert device.nodes == (DeviceNode(host_path="/dev/dxg", container_path="/dev/dxg", permissions="rw"),)
    assert device.mounts == (Mount(host_path="/usr/lib/wsl", container_path="/usr/lib/wsl", read_only=True),)
    assert device.envs == {"ZE_AFFINITY_MASK": "3"}
    assert (device.cdi, device.numa_nodes, device.health) == (None, (), "Healthy")


def test_shares_and_repetitions() -> None:
    assert ids(1, 0, 1, shared=2) == ["card0-0", "card0-1", "card1-0", "card1-1"]
    assert ids() == []


def test_an_index_that_cannot_be_is_left_out_and_told() -> None:
    result = wsl_devices([0, -1, LARGEST_INDEX, LARGEST_INDEX + 1], shared=1)

    assert [device.id for device in result.devices["dxg"]] == ["card0-0", "card65536-0"]
    assert [(problem.subject, problem.rejected) for problem in result.problems] == [
        ("card-1", True),
        ("card65537", True),
    ]
    assert "index 65537, expected 0 to 65536" in result.problems[1].text


def test_the_mask_has_each_gpu_once_by_number() -> None:
    assert affinity_mask(["card10-0", "card2-1", "card2-0"]) == "2,10"


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/run/telemetry.sock"


def allocatable(count: int, capacity: int) -> Callable[[Resource], bool]:
    return lambda listed: (listed.allocatable, listed.capacity) == (count, capacity)


async def test_a_container_is_given_all_its_gpus(tmp_path: Path, endpoint: str) -> None:
    plugin = WslPlugin(GpuSettings(telemetry=(endpoint,), wsl=True, shared_dev_num=2))
    with publishing(endpoint) as publisher:
        publisher.publish(wsl(0, 2))
        async with running(tmp_path, plugin) as node:
            await node.kubelet.wait_for_list(DXG, allocatable(4, 4))
            pod = await node.kubelet.admit("pod", {DXG: 2})

            assert sorted(pod.devices[DXG]) == ["card0-0", "card2-0"]
            assert pod.given.envs == {"ZE_AFFINITY_MASK": "0,2"}
            assert [file.container_path for file in pod.given.nodes] == ["/dev/dxg"]
            assert [(mount.container_path, mount.read_only) for mount in pod.given.mounts] == [("/usr/lib/wsl", True)]
            assert not pod.given.cdi_names


async def test_lists_are_followed_and_anything_else_changes_nothing(tmp_path: Path, endpoint: str) -> None:
    plugin = WslPlugin(GpuSettings(telemetry=(endpoint,), wsl=True))
    with publishing(endpoint) as publisher:
        async with running(tmp_path, plugin, lost_device_retention=0.0) as node:
            publisher.publish(wsl(0, 1))
            await node.kubelet.wait_for_list(DXG, allocatable(2, 2))

            publisher.publish(DeviceSnapshot(mode=Mode.WSL))
            publisher.publish(DeviceSnapshot(mode=Mode.WSL, unavailable="no library", wsl=wsl().wsl))
            publisher.publish(wsl(0, 1, 2))
            await node.kubelet.wait_for_list(DXG, allocatable(3, 3))
            publisher.publish(wsl())
            await node.kubelet.wait_for_list(DXG, allocatable(0, 0))

            assert [len(event.healthy) for event in node.lists] == [2, 3, 0]


def test_without_a_list_discover_says_so(tmp_path: Path, endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert PROGRAM.main(["discover", "-wsl", f"--telemetry={endpoint}"]) == 1

    assert capsys.readouterr().err == (
        f"xpu-gpu-plugin: no GPU can be seen: no list of GPUs from a sidecar at {endpoint}\n"
    )
