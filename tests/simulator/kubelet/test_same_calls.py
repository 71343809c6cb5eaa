"""The simulated kubelet makes the calls that a real one makes: tests/cluster records and checks them."""

from pathlib import Path

from cluster.calls import RESOURCE, recorded, scenario
from xpu_simulator.kubelet.simulated import SimulatedKubelet


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


async def test_the_simulated_kubelet_makes_the_recorded_calls_of_a_real_one(tmp_path: Path) -> None:
    async with SimulatedKubelet(tmp_path, version="1.37") as kubelet:
        assert await scenario(Simulated(kubelet)) == recorded()
