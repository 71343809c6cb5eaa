"""Registration through plugins_registry, against what a kubelet does to a socket it finds there."""

import asyncio
from pathlib import Path

import grpc
import pytest

from framework import RESOURCE, DemoPlugin, running
from xpu_shared.kernel.watching import DirectoryWatcher
from xpu_simulator.kubelet.resources import Resource
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_wire import deviceplugin_v1beta1_pb2 as api
from xpu_wire import pluginregistration_v1_pb2 as pb
from xpu_wire.deviceplugin_v1beta1_pb2_grpc import DevicePluginStub
from xpu_wire.pluginregistration_v1_pb2_grpc import RegistrationStub

SOCKET = "demo.intel.com-unit.sock"


def full(listed: Resource) -> bool:
    return listed.allocatable == 2


async def socket_in(directory: Path, name: str = SOCKET, *, other_than: int = 0) -> Path:
    """The plugin's socket as soon as it is there, and another one than an earlier one if asked."""
    changed = asyncio.Event()
    watcher = DirectoryWatcher()
    watcher.watch(directory, changed.set)
    watching = asyncio.create_task(watcher.run())
    changed.set()  # look once in any case
    path = directory / name
    async with asyncio.timeout(10):
        while not path.exists() or path.stat().st_ctime_ns == other_than:
            await changed.wait()
            changed.clear()
            await asyncio.sleep(0)
    watching.cancel()
    return path


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    directory = tmp_path / "plugins_registry"
    directory.mkdir()
    return directory


async def test_a_socket_says_what_it_is_and_lists_its_devices(tmp_path: Path, registry: Path) -> None:
    async with running(tmp_path, DemoPlugin(), start_kubelet=False, registration="registry"):
        path = await socket_in(registry)
        async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
            info = await RegistrationStub(channel).GetInfo(pb.InfoRequest())
            assert (info.type, info.name, info.endpoint) == ("DevicePlugin", RESOURCE, "")
            assert list(info.supported_versions) == ["v1beta1"]

            stream = DevicePluginStub(channel).ListAndWatch(api.Empty())
            listed = await stream.read()
            assert isinstance(listed, api.ListAndWatchResponse)
            assert [device.ID for device in listed.devices] == ["unit0", "unit1"]
            await RegistrationStub(channel).NotifyRegistrationStatus(pb.RegistrationStatus(plugin_registered=True))
        assert not (tmp_path / "device-plugins").exists()
    assert not path.exists()


async def test_a_socket_nobody_listens_to_is_made_anew(tmp_path: Path, registry: Path) -> None:
    """The kubelet takes a plugin whose stream has ended for registered until its socket is made anew."""
    async with running(tmp_path, DemoPlugin(), start_kubelet=False, registration="registry"):
        path = await socket_in(registry)
        first = path.stat().st_ctime_ns
        await socket_in(registry, other_than=first)


async def test_a_removed_socket_is_made_anew(tmp_path: Path, registry: Path) -> None:
    async with running(tmp_path, DemoPlugin(), start_kubelet=False, registration="registry"):
        path = await socket_in(registry)
        async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
            stream = DevicePluginStub(channel).ListAndWatch(api.Empty())
            await stream.read()
            first = path.stat().st_ctime_ns
            path.unlink()
            await socket_in(registry, other_than=first)


async def test_a_directory_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    async with running(tmp_path, DemoPlugin(), start_kubelet=False, registration="registry"):
        (tmp_path / "plugins_registry").mkdir()
        await socket_in(tmp_path / "plugins_registry")


async def test_both_ways_at_once(tmp_path: Path, registry: Path) -> None:
    async with running(tmp_path, DemoPlugin(), registration="both") as node:
        await node.kubelet.wait_for_list(RESOURCE, full)
        path = await socket_in(registry)
        async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
            info = await RegistrationStub(channel).GetInfo(pb.InfoRequest())
            assert info.name == RESOURCE


async def test_with_names_two_instances_follow_each_other_without_a_gap(tmp_path: Path) -> None:
    """A rolling update with surge, on a kubelet that keeps connections apart by their sockets."""
    kubelet = SimulatedKubelet(tmp_path, version="1.37")
    counts: list[int] = []
    async with kubelet:
        second = running(tmp_path, DemoPlugin(), kubelet=kubelet, instance="new", uevent_socket=None)
        async with running(tmp_path, DemoPlugin(), kubelet=kubelet, instance="old"):
            await kubelet.wait_for_list(RESOURCE, full)
            kubelet.events.subscribe(lambda _: counts.append(kubelet.resources[RESOURCE].allocatable))
            await second.__aenter__()
            await kubelet.wait_until(lambda: len(kubelet.registrations) == 2)
            await kubelet.wait_for_list(RESOURCE, lambda listed: listed.lists == 2)
        assert set(counts) == {2}
        await second.__aexit__(None, None, None)

    assert {event.endpoint for event in kubelet.registrations} == {
        "demo.intel.com-unit-old.sock",
        "demo.intel.com-unit-new.sock",
    }
