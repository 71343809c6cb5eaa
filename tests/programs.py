"""A plugin's program as a process beside a simulated kubelet, as a node would run it."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from xpu_simulator.kubelet.resources import Resource
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.uevents import Uevent, UeventSender
from xpu_wire import deviceplugin_v1beta1_pb2 as pb
from xpu_wire.deviceplugin_v1beta1_pb2_grpc import DevicePluginStub

KUBELET_DIRECTORY = "kubelet"


@asynccontextmanager
async def program(module: str, root: Path, *flags: str) -> AsyncIterator[SimulatedKubelet]:
    """Run the program of a family's package on the trees `root/sys` and `root/dev`; it ends with 0 at the end."""
    (root / KUBELET_DIRECTORY).mkdir(exist_ok=True)
    async with SimulatedKubelet(root / KUBELET_DIRECTORY) as kubelet:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            f"--sysfs-root={root}/sys",
            f"--dev-root={root}/dev",
            f"--kubelet-dir={root}/{KUBELET_DIRECTORY}",
            f"--cdi-dir={root}/cdi",
            f"--uevent-socket={root}/uevents",
            *flags,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield kubelet
        finally:
            if child.returncode is None:
                child.send_signal(signal.SIGTERM)
            code = await asyncio.wait_for(child.wait(), 10)
        assert code == 0, f"{module} ended with {code}"


def tell(root: Path, action: str, subsystem: str, devpath: str = "/devices/x") -> None:
    """The kernel says to the program that something happened."""
    UeventSender(root / "uevents").send([Uevent(action=action, devpath=devpath, subsystem=subsystem)])


async def allocate(root: Path, resource: str, *containers: Sequence[str]) -> pb.AllocateResponse:
    """Ask the plugin of a resource for each container's devices, in one call.

    Raises:
        grpc.aio.AioRpcError: it refuses.
    """
    socket = root / KUBELET_DIRECTORY / "device-plugins" / f"{resource.replace('/', '-')}.sock"
    asked = [pb.ContainerAllocateRequest(devices_ids=ids) for ids in containers]
    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
        return await DevicePluginStub(channel).Allocate(pb.AllocateRequest(container_requests=asked))


async def options(root: Path, resource: str) -> pb.DevicePluginOptions:
    """What the plugin of a resource says it can do."""
    socket = root / KUBELET_DIRECTORY / "device-plugins" / f"{resource.replace('/', '-')}.sock"
    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
        return await DevicePluginStub(channel).GetDevicePluginOptions(pb.Empty())


def in_json(response: pb.AllocateResponse) -> list[dict[str, object]]:
    """The containers' answers as plain values, every field present."""
    return [
        {
            "envs": dict(answer.envs),
            "annotations": dict(answer.annotations),
            "mounts": [
                {"host_path": mount.host_path, "container_path": mount.container_path, "read_only": mount.read_only}
                for mount in answer.mounts
            ],
            "devices": [
                {"host_path": node.host_path, "container_path": node.container_path, "permissions": node.permissions}
                for node in answer.devices
            ],
            "cdi_devices": [{"name": device.name} for device in answer.cdi_devices],
        }
        for answer in response.container_responses
    ]


def healthy(count: int, listed: int | None = None) -> Callable[[Resource], bool]:
    """So many devices can be given out, and so many are listed, by default the same."""
    return lambda resource: (resource.allocatable, resource.capacity) == (count, count if listed is None else listed)
