"""A real kubelet makes the calls that are recorded of it, so that the simulated one can be held against them."""

import asyncio

from cluster.calls import IDS, RESOURCE, recorded, scenario
from cluster.machine import SOCKETS, Cluster, wait_until


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


async def test_the_real_kubelet_makes_the_recorded_calls(cluster: Cluster) -> None:
    assert await scenario(Real(cluster)) == recorded()
