"""The simulated kubelet and the real one make the same calls for the same scenario: the simulator tells the truth."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import grpc

from cluster.machine import SOCKETS, Cluster, wait_until
from simulator.foreign_plugin import ForeignPlugin, devices
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_wire import deviceplugin_v1beta1_pb2 as pb

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


class Simulated:
    def __init__(self, kubelet: SimulatedKubelet) -> None:
        self.directory = kubelet.device_plugins
        self._kubelet = kubelet

    async def allocatable(self, count: int) -> None:
        await self._kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == count)

    async def run_pod(self, name: str, count: int) -> None:
        await self._kubelet.admit(name, {RESOURCE: count})

    async def delete_pod(self, name: str) -> None:
        self._kubelet.delete(name)

    async def restart(self) -> None:
        await self._kubelet.restart()


class Real:
    directory = SOCKETS

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def allocatable(self, count: int) -> None:
        await asyncio.to_thread(
            self._cluster.wait_for_gpus, capacity=len(IDS), allocatable=count, resource=RESOURCE, seconds=30
        )

    async def run_pod(self, name: str, count: int) -> None:
        await asyncio.to_thread(self._cluster.run_pod, name, count, resource=RESOURCE)
        await asyncio.to_thread(self._cluster.wait_for_phase, name, "Running")

    async def delete_pod(self, name: str) -> None:
        await asyncio.to_thread(self._cluster.delete_pod, name)

        def wait() -> None:
            wait_until(lambda: name not in self._cluster.holders(RESOURCE), lambda: f"{name} still holds", seconds=60)

        await asyncio.to_thread(wait)

    async def restart(self) -> None:
        await asyncio.to_thread(self._cluster.kubelet, "restart")


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


async def test_both_kubelets_make_the_same_calls(cluster: Cluster, tmp_path: Path) -> None:
    async with SimulatedKubelet(tmp_path, version="1.37") as simulated:
        expected = await scenario(Real(cluster))
        assert await scenario(Simulated(simulated)) == expected
    assert len(expected) >= 10
