"""A plugin's program as a process beside a simulated kubelet, as a node would run it."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from xpu_simulator.kubelet.resources import Resource
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.uevents import Uevent, UeventSender
from xpu_wire import deviceplugin_v1beta1_pb2 as pb
from xpu_wire.deviceplugin_v1beta1_pb2_grpc import DevicePluginStub


@dataclass(frozen=True)
class RunningProgram:
    kubelet: SimulatedKubelet
    sockets: Path  # a short path, because a socket's is limited
    log: asyncio.StreamReader

    async def says(self, text: str) -> str:
        """The next line of its log that has the text."""
        while line := (await asyncio.wait_for(self.log.readline(), 20)).decode():
            if text in line:
                return line
        raise AssertionError(f"the log ended without {text!r}")

    async def wait_for(self, resource: str, healthy: int, *, listed: int | None = None) -> Resource:
        """Until so many of its devices can be given out, and so many are listed, by default the same."""
        expected = (healthy, healthy if listed is None else listed)
        return await self.kubelet.wait_for_list(
            resource, lambda found: (found.allocatable, found.capacity) == expected and found.lists > 0
        )

    def tell(self, action: str, subsystem: str, *, devpath: str = "/devices/x", **variables: str) -> None:
        """The kernel says that something happened."""
        event = Uevent(action=action, devpath=devpath, subsystem=subsystem, variables=variables)
        UeventSender(self.sockets / "uevents").send([event])

    async def allocate(self, resource: str, *containers: Sequence[str]) -> list[dict[str, object]]:
        """Ask for each container's devices, in one call.

        Raises:
            grpc.aio.AioRpcError: the plugin refuses.
        """
        asked = [pb.ContainerAllocateRequest(devices_ids=ids) for ids in containers]
        async with grpc.aio.insecure_channel(self._target(resource)) as channel:
            response = await DevicePluginStub(channel).Allocate(pb.AllocateRequest(container_requests=asked))
        return [_in_json(answer) for answer in response.container_responses]

    async def can(self, resource: str) -> tuple[bool, bool]:
        """Whether its plugin says that it has preferences, and that it acts before a container's start."""
        async with grpc.aio.insecure_channel(self._target(resource)) as channel:
            options = await DevicePluginStub(channel).GetDevicePluginOptions(pb.Empty())
        return options.get_preferred_allocation_available, options.pre_start_required

    def _target(self, resource: str) -> str:
        return f"unix:{self.kubelet.device_plugins}/{resource.replace('/', '-')}.sock"


def may_mount() -> bool:
    """Whether trees can be mounted over /sys and /dev, in a mount namespace of a program's own."""
    return (
        os.geteuid() == 0
        and subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    )


def mounted(root: Path) -> list[str]:
    """A command line that runs another one where `root/sys` and `root/dev` are /sys and /dev."""
    own = ("null", "urandom")  # without the second gRPC does not run
    for name in own:
        (root / "dev" / name).touch()
    mounts = [f"mount --bind /dev/{name} {root}/dev/{name}" for name in own]
    mounts += [f"mount --rbind {root}/{name} /{name}" for name in ("sys", "dev")]
    return ["unshare", "-m", "sh", "-c", " && ".join([*mounts, 'exec "$@"']), "sh"]


@asynccontextmanager
async def program(module: str, root: Path, *flags: str, default_roots: bool = False) -> AsyncIterator[RunningProgram]:
    """Run the program of a family's package on the trees `root/sys` and `root/dev`; SIGTERM ends it with 0.

    Args:
        default_roots: do not tell it where they are, but mount them over /sys and /dev.
    """
    roots = [] if default_roots else [f"--sysfs-root={root}/sys", f"--dev-root={root}/dev"]
    with tempfile.TemporaryDirectory(prefix="xpu") as short:
        async with SimulatedKubelet(Path(short)) as kubelet:
            child = await asyncio.create_subprocess_exec(
                *(mounted(root) if default_roots else []),
                sys.executable,
                "-m",
                module,
                *roots,
                f"--kubelet-dir={short}",
                f"--cdi-dir={root}/cdi",
                f"--uevent-socket={short}/uevents",
                *flags,
                stderr=asyncio.subprocess.PIPE,
            )
            assert child.stderr is not None
            try:
                yield RunningProgram(kubelet=kubelet, sockets=Path(short), log=child.stderr)
            finally:
                if child.returncode is None:
                    child.send_signal(signal.SIGTERM)
                await asyncio.wait_for(child.communicate(), 10)
            assert child.returncode == 0, f"{module} ended with {child.returncode}"


def _in_json(answer: pb.ContainerAllocateResponse) -> dict[str, object]:
    """An answer as plain values, every field present."""
    return {
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
