from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from simulator.foreign_plugin import RESOURCE, ForeignPlugin
from xpu_simulator.kubelet.simulated import SimulatedKubelet

PluginMaker = Callable[..., ForeignPlugin]


@pytest.fixture
async def kubelet(tmp_path: Path) -> AsyncGenerator[SimulatedKubelet]:
    async with SimulatedKubelet(tmp_path, dial_timeout=0.5, seed=1) as kubelet:
        yield kubelet


@pytest.fixture
async def new_plugin(tmp_path: Path) -> AsyncGenerator[PluginMaker]:
    """Make plugins beside the kubelet's socket; they end with the test."""
    made: list[ForeignPlugin] = []

    def make(endpoint: str = "card.sock", resource: str = RESOURCE) -> ForeignPlugin:
        made.append(ForeignPlugin(tmp_path / "device-plugins", endpoint=endpoint, resource=resource))
        return made[-1]

    yield make
    for plugin in made:
        await plugin.stop()


@pytest.fixture
def plugin(kubelet: SimulatedKubelet, new_plugin: PluginMaker) -> ForeignPlugin:
    return new_plugin()
