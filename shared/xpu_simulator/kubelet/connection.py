"""The kubelet's side of one registration: a channel to the plugin, its options, its stream of lists."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import grpc

from xpu_simulator.kubelet.events import Call
from xpu_wire import deviceplugin_v1beta1_pb2 as pb
from xpu_wire import deviceplugin_v1beta1_pb2_grpc as pb_grpc

PRE_START_TIMEOUT = 30.0  # seconds, fixed by the API
CLOSING = "rpc error: code = Canceled desc = grpc: the client connection is closing"


Answer = TypeVar("Answer")


def channel_to(socket: Path, *, authority: str | None = None) -> grpc.aio.Channel:
    options: list[tuple[str, int | str]] = [
        ("grpc.use_local_subchannel_pool", 1),  # else connections to one path share their reconnect back-off
        ("grpc.enable_retries", 0),  # the kubelet's client does not repeat calls
    ]
    if authority is not None:
        options.append(("grpc.default_authority", authority))
    return grpc.aio.insecure_channel(f"unix:{socket}", options=options)


class PluginError(Exception):
    """A call to a plugin failed; the text is as kubelets log it."""


class PluginConnection:
    """Speaks to the plugin that registered `resource` at `endpoint`. Every call is reported to `report`."""

    def __init__(self, resource: str, socket: Path, *, authority: str | None, report: Callable[[Call], None]) -> None:
        self.resource = resource
        self.socket = socket
        self.options = pb.DevicePluginOptions()
        self.reading = asyncio.Event()  # cleared: the kubelet is slow and leaves the stream's messages where they are
        self.reading.set()
        self.closed = False
        self._report = report
        self._channel = channel_to(socket, authority=authority)
        self._plugin = pb_grpc.DevicePluginStub(self._channel)

    @property
    def endpoint(self) -> str:
        return self.socket.name

    async def open(self, *, timeout: float) -> None:  # noqa: ASYNC109 - the text of the error is part of the contract
        """Connect and ask for the plugin's options."""
        try:
            async with asyncio.timeout(timeout):
                await self._channel.channel_ready()
                self._called("GetDevicePluginOptions")
                self.options = await answered(self._plugin.GetDevicePluginOptions(pb.Empty()))
        except TimeoutError:
            raise PluginError(f"failed to dial device plugin: no answer on {self.socket} in {timeout:g} s") from None
        except PluginError as error:
            raise PluginError(f"failed to get device plugin options: {error}") from error

    async def lists(self) -> AsyncGenerator[Sequence[pb.Device]]:
        """Yield each list until the plugin ends the stream; PluginError when it breaks."""
        self._called("ListAndWatch")
        stream = self._plugin.ListAndWatch(pb.Empty())
        while True:
            await self.reading.wait()
            message = await answered(stream.read())
            if self.closed:  # meanwhile: the list came too late to count
                raise PluginError(CLOSING)
            if not isinstance(message, pb.ListAndWatchResponse):  # the end of the stream
                return
            yield message.devices

    async def preferred(self, available: Sequence[str], must_include: Sequence[str], size: int) -> frozenset[str]:
        self._called("GetPreferredAllocation", tuple(available), tuple(must_include), size)
        container = pb.ContainerPreferredAllocationRequest(
            available_deviceIDs=available, must_include_deviceIDs=must_include, allocation_size=size
        )
        request = pb.PreferredAllocationRequest(container_requests=[container])
        try:
            answer = await answered(self._plugin.GetPreferredAllocation(request))
        except PluginError as error:
            raise PluginError(f"device plugin GetPreferredAllocation rpc failed with err: {error}") from error
        return frozenset(answer.container_responses[0].deviceIDs if answer.container_responses else ())

    async def allocate(self, ids: Sequence[str]) -> pb.ContainerAllocateResponse:
        self._called("Allocate", tuple(ids))
        request = pb.AllocateRequest(container_requests=[pb.ContainerAllocateRequest(devices_ids=ids)])
        answer = await answered(self._plugin.Allocate(request))
        if not answer.container_responses:
            raise PluginError("no containers return in allocation response")
        return answer.container_responses[0]

    async def pre_start(self, ids: Sequence[str]) -> None:
        self._called("PreStartContainer", tuple(ids))
        request = pb.PreStartContainerRequest(devices_ids=ids)
        try:
            await answered(self._plugin.PreStartContainer(request, timeout=PRE_START_TIMEOUT))
        except PluginError as error:
            raise PluginError(f"device plugin PreStartContainer rpc failed with err: {error}") from error

    async def close(self) -> None:
        self.closed = True
        await self._channel.close()

    def _called(self, method: str, *arguments: tuple[str, ...] | int) -> None:
        self._report(Call(method=method, resource=self.resource, arguments=arguments))


async def answered(call: Awaitable[Answer]) -> Answer:
    """The answer of a call; its failure is told as Go's gRPC tells it, because pods show that text."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        code = error.code().name.title().replace("_", "")
        raise PluginError(f"rpc error: code = {code} desc = {error.details()}") from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task and task.cancelling():
            raise
        # Nobody cancelled this task: gRPC cancels what waits on a channel that is closed.
        raise PluginError(CLOSING) from None
