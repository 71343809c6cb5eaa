"""Directories that are mounted read-only for a while, for real; skipped where nothing can be mounted."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest

from framework import RESOURCE, DemoPlugin, running
from simulator.small_disk import small_disk
from xpu_shared.device import CdiDevice, Device, DeviceNode
from xpu_shared.labels.feature_file import FeatureFile, FeatureFileError
from xpu_shared.program.logs import fields_of
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_wire import deviceplugin_v1beta1_pb2 as pb
from xpu_wire.deviceplugin_v1beta1_pb2_grpc import DevicePluginStub

NODE = DeviceNode(host_path="/dev/null", container_path="/dev/null")
WITH_CDI = Device(id="one", nodes=(NODE,), cdi=CdiDevice(kind="demo.intel.com/unit", name="one", nodes=(NODE,)))


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    with small_disk(directory, "size=1m"):
        subprocess.run(["mount", "-o", "remount,ro", str(directory)], check=True)
        yield


def writable(directory: Path) -> None:
    subprocess.run(["mount", "-o", "remount,rw", str(directory)], check=True)


async def allocate(kubelet: SimulatedKubelet) -> None:
    request = pb.AllocateRequest(container_requests=[pb.ContainerAllocateRequest(devices_ids=["one"])])
    socket = kubelet.device_plugins / "demo.intel.com-unit.sock"
    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
        await DevicePluginStub(channel).Allocate(request)


async def test_without_room_for_cdi_files_devices_are_listed_and_an_allocation_names_the_file(tmp_path: Path) -> None:
    with read_only(tmp_path / "cdi"):
        async with running(tmp_path, DemoPlugin(devices={"unit": [WITH_CDI]})) as node:
            await node.kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 1)
            with pytest.raises(grpc.aio.AioRpcError, match=r"demo.intel.com-unit-one.yaml.*Read-only file system"):
                await allocate(node.kubelet)

            writable(tmp_path / "cdi")
            await allocate(node.kubelet)


def test_a_read_only_label_directory_costs_the_update_and_is_written_once_it_can_be(tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with read_only(tmp_path / "features"):
        file = FeatureFile(tmp_path / "features/labels.txt")
        with pytest.raises(FeatureFileError, match=r"labels\.txt: Read-only file system"):
            file.update({"a": "b"}, now=now)

        writable(tmp_path / "features")
        assert file.update({"a": "b"}, now=now)
        assert file.path.read_text() == "a=b\n"


async def test_a_read_only_kubelet_directory_is_told_and_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with read_only(tmp_path / "device-plugins"):
        plugin = DemoPlugin()
        async with running(tmp_path, plugin, start_kubelet=False) as node:
            await plugin.scanned(1)
            async with asyncio.timeout(10):
                while not any("EROFS" in str(fields_of(record)) for record in caplog.records):
                    node.uevent()
                    await plugin.scanned(plugin.scans + 1)
            writable(tmp_path / "device-plugins")
            await node.kubelet.start()
            await node.kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 2)
            await node.kubelet.stop()
