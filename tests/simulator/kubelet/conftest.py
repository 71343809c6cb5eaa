from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from simulator.foreign_plugin import RESOURCE, ForeignPlugin
from simulator.kubelet.registry_plugin import RegistryPlugin
from xpu_simulator.kubelet.events import Event
from xpu_simulator.kubelet.simulated import SimulatedKubelet

PluginMaker = Callable[..., ForeignPlugin]
RegistryPluginMaker = Callable[..., RegistryPlugin]


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


@pytest.fixture
async def new_registry_plugin(tmp_path: Path) -> AsyncGenerator[RegistryPluginMaker]:
    """Make plugins in plugins_registry, or below it; they end with the test."""
    made: list[RegistryPlugin] = []

    def make(below: str = ".", *, resource: str = RESOURCE) -> RegistryPlugin:
        directory = tmp_path / "plugins_registry" / below
        directory.mkdir(parents=True, exist_ok=True)
        made.append(RegistryPlugin(directory, resource=resource))
        return made[-1]

    yield make
    for plugin in made:
        await plugin.vanish()
        await plugin.stop()


@pytest.fixture
def registry_plugin(kubelet: SimulatedKubelet, new_registry_plugin: RegistryPluginMaker) -> RegistryPlugin:
    return new_registry_plugin()


@pytest.fixture
def seen(kubelet: SimulatedKubelet) -> list[Event]:
    """What happened since the kubelet started."""
    events: list[Event] = []
    kubelet.events.subscribe(events.append)
    return events
