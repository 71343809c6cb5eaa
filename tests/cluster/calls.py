"""One scenario for two kubelets, the simulated one and a real one: which calls does a plugin get?

`recorded_calls.json` is what a real kubelet 1.37.2 did. Both are held against it: the real one where there is a
cluster, the simulated one everywhere.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import grpc

from cluster.machine import wait_until
from simulator.foreign_plugin import ForeignPlugin, devices
from xpu_wire import deviceplugin_v1beta1_pb2 as pb

RECORDING = Path(__file__).with_name("recorded_calls.json")
RESOURCE = "example.com/card"
IDS = ("card0", "card1", "card2", "card3")


class Recorder(ForeignPlugin):
    """Notes every call with its arguments, ids replaced by their number: which ones are taken first is random."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, resource=RESOURCE, endpoint="recorder.sock")
        self.options = pb.DevicePluginOptions(pre_start_required=True, get_preferred_allocation_available=True)
        self.calls: list[tuple[object, ...]] = []

    async def follow(self) -> None:
        """Serve and register again after a kubelet's restart, as soon as it has wiped the sockets and listens."""
        wiped = self.directory / self.endpoint
        await asyncio.to_thread(wait_until, lambda: not wiped.exists(), lambda: f"{wiped} is still there", seconds=30)
        await self.stop()
        await self.serve()
        async with asyncio.timeout(30):
            while True:
                try:
                    return await self.register()
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.1)

    async def _obey(self, method: str, context: Any) -> None:
        if method in ("GetDevicePluginOptions", "ListAndWatch"):
            self.calls.append((method,))
        else:
            self.calls.append((method, *_arguments(self.requests[-1])))
        await super()._obey(method, context)


def _arguments(request: Any) -> tuple[object, ...]:
    if isinstance(request, pb.PreStartContainerRequest):
        return (len(request.devices_ids),)
    return tuple(
        (len(asked.available_deviceIDs), len(asked.must_include_deviceIDs), asked.allocation_size)
        if isinstance(asked, pb.ContainerPreferredAllocationRequest)
        else len(asked.devices_ids)
        for asked in request.container_requests
    )


class Kubelet(Protocol):
    """What the scenario asks of a kubelet."""

    directory: Path

    async def allocatable(self, count: int) -> None: ...
    async def run_pod(self, name: str, count: int) -> None: ...
    async def delete_pod(self, name: str) -> None: ...
    async def restart(self) -> None: ...


@asynccontextmanager
async def recording(kubelet: Kubelet) -> AsyncIterator[Recorder]:
    recorder = Recorder(kubelet.directory)
    await recorder.start(*IDS)
    try:
        yield recorder
    finally:
        await recorder.stop()


async def scenario(kubelet: Kubelet) -> list[tuple[object, ...]]:
    """Register, hand out, fail and recover a device, restart, hand out again; returns the calls that were made."""
    async with recording(kubelet) as recorder:
        await kubelet.allocatable(4)
        await kubelet.run_pod("same-a", 2)
        await recorder.send([*devices("card0", "card1", "card2"), *devices("card3", health="Unhealthy")])
        await kubelet.allocatable(3)
        await recorder.send(devices(*IDS))
        await kubelet.allocatable(4)
        await kubelet.run_pod("same-b", 1)
        await kubelet.restart()
        await recorder.follow()
        await kubelet.allocatable(4)
        await kubelet.run_pod("same-c", 1)
        for name in ("same-a", "same-b", "same-c"):
            await kubelet.delete_pod(name)
        await kubelet.run_pod("same-d", 4)
        await kubelet.delete_pod("same-d")
        return recorder.calls


def recorded() -> list[tuple[object, ...]]:
    return [(method, *map(_tuples, arguments)) for method, *arguments in json.loads(RECORDING.read_text())]


def _tuples(value: Any) -> object:
    """JSON has no tuples."""
    return tuple(value) if isinstance(value, list) else value
