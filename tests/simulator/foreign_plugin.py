"""A device plugin that is none of ours: gRPC and nothing else, to try the simulated kubelet and `xpu-simulator run`.

As a program it offers the cards of a sysfs tree as `example.com/card`, looking again at every kernel event and once
every 20 ms whether its socket is still there. Its options are misdeeds.
"""

import argparse
import asyncio
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc

from xpu_wire import deviceplugin_v1beta1_pb2 as pb
from xpu_wire import deviceplugin_v1beta1_pb2_grpc as pb_grpc

RESOURCE = "example.com/card"


class ForeignPlugin(pb_grpc.DevicePluginServicer):
    """Serves `resource` on `endpoint` beside the kubelet's socket. Its answers may be changed while it runs."""

    def __init__(self, directory: Path, *, resource: str = RESOURCE, endpoint: str = "card.sock") -> None:
        self.directory = directory
        self.resource = resource
        self.endpoint = endpoint
        self.options = pb.DevicePluginOptions()
        self.devices: list[pb.Device] = []
        self.preferred: list[str] = []
        self.answers: dict[str, pb.ContainerAllocateResponse] = {}  # by device id
        self.failing: set[str] = set()  # methods that fail
        self.hanging: set[str] = set()  # methods that never answer
        self.empty_answers = False
        self.requests: list[Any] = []
        self.sent = 0
        self._changed = asyncio.Condition()
        self._server: grpc.aio.Server | None = None
        self._ending = False

    async def serve(self) -> None:
        self._ending = False
        self._server = grpc.aio.server()
        pb_grpc.add_DevicePluginServicer_to_server(self, self._server)
        self._server.add_insecure_port(f"unix:{self.directory / self.endpoint}")
        await self._server.start()

    async def register(self, *, version: str = "v1beta1", resource: str | None = None) -> None:
        request = pb.RegisterRequest(version=version, endpoint=self.endpoint, resource_name=resource or self.resource)
        address = f"unix:{self.directory / 'kubelet.sock'}"
        async with grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            await pb_grpc.RegistrationStub(channel).Register(request, timeout=15)

    async def start(self, *ids: str) -> None:
        self.devices = devices(*ids)
        await self.serve()
        await self.register()

    async def send(self, listed: list[pb.Device]) -> None:
        self.devices = listed
        async with self._changed:
            self._changed.notify_all()

    async def end_streams(self) -> None:
        self._ending = True
        await self.send(self.devices)

    async def stop(self) -> None:
        if self._server:
            await self._server.stop(None)

    async def GetDevicePluginOptions(self, request: pb.Empty, context: Any) -> pb.DevicePluginOptions:
        await self._obey("GetDevicePluginOptions", context)
        return self.options

    async def ListAndWatch(self, request: pb.Empty, context: Any) -> AsyncGenerator[pb.ListAndWatchResponse]:
        await self._obey("ListAndWatch", context)
        async with self._changed:
            while not self._ending:
                yield pb.ListAndWatchResponse(devices=self.devices)
                self.sent += 1
                await self._changed.wait()

    async def GetPreferredAllocation(
        self, request: pb.PreferredAllocationRequest, context: Any
    ) -> pb.PreferredAllocationResponse:
        self.requests.append(request)
        await self._obey("GetPreferredAllocation", context)
        container = pb.ContainerPreferredAllocationResponse(deviceIDs=self.preferred)
        return pb.PreferredAllocationResponse(container_responses=[] if self.empty_answers else [container])

    async def Allocate(self, request: pb.AllocateRequest, context: Any) -> pb.AllocateResponse:
        self.requests.append(request)
        await self._obey("Allocate", context)
        merged = pb.ContainerAllocateResponse()
        for id_ in request.container_requests[0].devices_ids:
            merged.MergeFrom(self.answers.get(id_, pb.ContainerAllocateResponse()))
        return pb.AllocateResponse(container_responses=[] if self.empty_answers else [merged])

    async def PreStartContainer(
        self, request: pb.PreStartContainerRequest, context: Any
    ) -> pb.PreStartContainerResponse:
        self.requests.append(request)
        await self._obey("PreStartContainer", context)
        return pb.PreStartContainerResponse()

    async def _obey(self, method: str, context: Any) -> None:
        if method in self.hanging:
            await asyncio.Event().wait()
        if method in self.failing:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"told to fail {method}")


def devices(*ids: str, health: str = "Healthy") -> list[pb.Device]:
    return [pb.Device(ID=id_, health=health) for id_ in ids]


class Listener(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard = asyncio.Event()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.heard.set()


class CardProgram:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        directory = options.kubelet_dir / "device-plugins"
        self.plugin = ForeignPlugin(directory, resource=options.resource, endpoint=options.endpoint)
        self.listener = Listener()
        self.ended = False

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._told_to_end)
        if self.options.uevent_socket:
            path = str(self.options.uevent_socket)
            await loop.create_datagram_endpoint(lambda: self.listener, local_addr=path, family=socket.AF_UNIX)
        if self.options.child:
            await asyncio.create_subprocess_exec("sleep", "1000")
        print("the cards are served", flush=True)
        while not self.ended:
            await self._look()
            if self.options.exit_code is not None and self.plugin.sent:
                print("these are my last words", file=sys.stderr)
                return int(self.options.exit_code)
            self.listener.heard.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await self.listener.heard.wait()
        await self.plugin.stop()
        return 0

    def _told_to_end(self) -> None:
        self.ended = not self.options.ignore_sigterm

    async def _look(self) -> None:
        names = sorted(path.name for path in (self.options.sysfs_root / "class/drm").glob("card[0-9]"))
        if names != [device.ID for device in self.plugin.devices]:
            self.plugin.answers = {name: self._given(name) for name in names}
            await self.plugin.send(devices(*names))
        kubelet = self.plugin.directory / "kubelet.sock"
        if kubelet.exists() and not (self.plugin.directory / self.plugin.endpoint).exists():
            await self.plugin.stop()
            await self.plugin.serve()
            try:
                await self.plugin.register()
            except grpc.aio.AioRpcError:  # the kubelet has gone again: the next look tries again
                await self.plugin.stop()

    def _given(self, card: str) -> pb.ContainerAllocateResponse:
        host = f"{self.options.dev_root}/dri/{card}"
        node = pb.DeviceSpec(container_path=f"/dev/dri/{card}", host_path=host, permissions="rw")
        mount = pb.Mount(container_path=f"/etc/{card}", host_path="/etc/hostname", read_only=True)
        return pb.ContainerAllocateResponse(devices=[node], mounts=[mount], envs={f"GOT_{card.upper()}": "1"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kubelet-dir", type=Path, required=True)
    parser.add_argument("--sysfs-root", type=Path, required=True)
    parser.add_argument("--dev-root", type=Path, default=Path("/dev"))
    parser.add_argument("--uevent-socket", type=Path)
    parser.add_argument("--resource", default=RESOURCE)
    parser.add_argument("--endpoint", default="card.sock")
    parser.add_argument("--exit-code", type=int, help="end with it after the first list")
    parser.add_argument("--ignore-sigterm", action="store_true")
    parser.add_argument("--child", action="store_true", help="start a child process that stays")
    sys.exit(asyncio.run(CardProgram(parser.parse_args()).run()))
