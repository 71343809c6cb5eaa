import asyncio
import gc
import socket
from pathlib import Path

import grpc
import pytest

from simulator.foreign_plugin import RESOURCE, ForeignPlugin
from simulator.kubelet.conftest import PluginMaker
from xpu_simulator.errors import ImpossibleError
from xpu_simulator.kubelet.simulated import SimulatedKubelet


async def test_a_starting_kubelet_removes_sockets_but_no_files_and_no_directories(
    kubelet: SimulatedKubelet, plugin: ForeignPlugin
) -> None:
    await plugin.serve()
    checkpoint = kubelet.device_plugins / "kubelet_internal_checkpoint"
    checkpoint.write_text("{}")
    (kubelet.device_plugins / "directory").mkdir()

    await kubelet.restart()

    assert {path.name for path in kubelet.device_plugins.iterdir()} == {
        "DEPRECATION",
        "directory",
        "kubelet.sock",
        "kubelet_internal_checkpoint",
    }


async def test_a_restart_makes_another_socket(kubelet: SimulatedKubelet) -> None:
    before = kubelet.socket.stat()

    await kubelet.restart()

    after = kubelet.socket.stat()
    assert (before.st_ino, before.st_ctime_ns) != (after.st_ino, after.st_ctime_ns)


async def test_a_stopped_kubelet_leaves_its_socket_behind_and_nobody_listens(kubelet: SimulatedKubelet) -> None:
    before = kubelet.socket.stat()

    await kubelet.stop()

    after = kubelet.socket.stat()
    assert (before.st_ino, before.st_ctime_ns) == (after.st_ino, after.st_ctime_ns)
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
        client.connect(str(kubelet.socket))


async def test_a_resource_is_remembered_without_its_devices(kubelet: SimulatedKubelet, plugin: ForeignPlugin) -> None:
    await plugin.start("a", "b")
    await kubelet.wait_for_list(RESOURCE)

    await kubelet.restart()

    resource = kubelet.resources[RESOURCE]
    assert (resource.registered, resource.capacity) == (True, 0)


async def test_a_remembered_resource_is_dropped_when_nobody_registers_it(
    tmp_path: Path, new_plugin: PluginMaker
) -> None:
    async with SimulatedKubelet(tmp_path, grace=0.02) as kubelet:
        await new_plugin().start("a")
        await kubelet.wait_for_list(RESOURCE)

        await kubelet.restart()

        await kubelet.wait_until(lambda: not kubelet.resources[RESOURCE].registered)


async def test_the_streams_of_a_stopped_kubelet_are_cut(kubelet: SimulatedKubelet, plugin: ForeignPlugin) -> None:
    await plugin.start("a")
    await kubelet.wait_for_list(RESOURCE)

    await kubelet.stop()
    await plugin.send([])

    assert kubelet.resources[RESOURCE].lists == 1


async def test_a_registration_that_is_being_dialled_ends_with_the_kubelet(
    tmp_path: Path, new_plugin: PluginMaker
) -> None:
    async with SimulatedKubelet(tmp_path) as kubelet:
        plugin = new_plugin()
        plugin.hanging = {"GetDevicePluginOptions"}
        await plugin.serve()
        registering = asyncio.create_task(plugin.register())
        await kubelet.wait_until(lambda: bool(kubelet.calls))

        await kubelet.stop()

        with pytest.raises(grpc.aio.AioRpcError):
            await registering


async def test_200_restarts_cost_no_descriptor_and_no_task(kubelet: SimulatedKubelet, new_plugin: PluginMaker) -> None:
    async def cycle() -> None:
        plugin = new_plugin()
        await plugin.start("a")
        await kubelet.wait_for_list(RESOURCE)
        await kubelet.restart()
        await plugin.stop()

    for _ in range(5):
        await cycle()
    before = _descriptors_and_tasks()
    for _ in range(200):
        await cycle()

    assert _descriptors_and_tasks() < before + 20  # the last cycle may still be ending; one of each would be 200


def _descriptors_and_tasks() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir())) + len(asyncio.all_tasks())


async def test_starting_twice_or_stopping_a_stopped_kubelet_is_an_error(tmp_path: Path) -> None:
    async with SimulatedKubelet(tmp_path) as kubelet:
        with pytest.raises(ImpossibleError, match="running already"):
            await kubelet.start()
        await kubelet.stop()
        with pytest.raises(ImpossibleError, match="not running"):
            await kubelet.stop()
        with pytest.raises(ImpossibleError, match="not running"):
            await kubelet.admit("pod", {RESOURCE: 1})


def test_a_directory_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at most 107 bytes"):
        SimulatedKubelet(tmp_path / ("x" * 100))


async def test_two_kubelets_do_not_disturb_each_other(tmp_path: Path) -> None:
    async with SimulatedKubelet(tmp_path / "1") as one, SimulatedKubelet(tmp_path / "2") as two:
        await two.restart()
        plugin = ForeignPlugin(one.device_plugins)
        await plugin.start("a")
        await one.wait_for_list(RESOURCE)
        assert two.resources[RESOURCE].capacity == 0
        await plugin.stop()
