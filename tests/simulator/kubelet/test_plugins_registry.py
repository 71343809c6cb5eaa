from functools import partial
from pathlib import Path

from simulator.foreign_plugin import RESOURCE, ForeignPlugin
from simulator.kubelet.conftest import PluginMaker, RegistryPluginMaker
from simulator.kubelet.registry_plugin import RegistryPlugin
from xpu_simulator.kubelet.events import Deregistration, Event, Registration, StreamEnded
from xpu_simulator.kubelet.resources import Resource
from xpu_simulator.kubelet.simulated import SimulatedKubelet


def none_healthy(listed: Resource) -> bool:
    return listed.allocatable == 0


async def test_a_socket_with_both_services_is_found_and_registered(
    kubelet: SimulatedKubelet, registry_plugin: RegistryPlugin
) -> None:
    await registry_plugin.appear("a", "b")

    assert await registry_plugin.until_told() == (True, "")
    assert (await kubelet.wait_for_list(RESOURCE)).allocatable == 2
    assert [call.method for call in kubelet.calls] == [
        "GetInfo",
        "GetDevicePluginOptions",
        "NotifyRegistrationStatus",
        "ListAndWatch",
    ]
    await kubelet.wait_until(lambda: bool(kubelet.registrations))
    (registration,) = kubelet.registrations
    assert (registration.resource, registration.endpoint, registration.error) == (RESOURCE, "card.sock", "")
    assert registration.registry
    await kubelet.admit("pod", {RESOURCE: 2})


async def test_a_plugin_may_serve_elsewhere(
    kubelet: SimulatedKubelet, registry_plugin: RegistryPlugin, new_plugin: PluginMaker
) -> None:
    elsewhere = new_plugin("own.sock")
    await elsewhere.serve()
    await elsewhere.send([])
    registry_plugin.info.endpoint = str(elsewhere.directory / elsewhere.endpoint)

    await registry_plugin.appear("not asked")

    assert await registry_plugin.until_told() == (True, "")
    assert (await kubelet.wait_for_list(RESOURCE, lambda listed: listed.lists == 1)).capacity == 0


async def test_sockets_in_directories_are_found(
    kubelet: SimulatedKubelet, new_registry_plugin: RegistryPluginMaker
) -> None:
    plugin = new_registry_plugin("some/where")
    await plugin.appear("a")
    assert (await plugin.until_told())[0]


async def test_a_socket_that_is_there_when_the_kubelet_starts_is_found(
    tmp_path: Path, new_registry_plugin: RegistryPluginMaker
) -> None:
    plugin = new_registry_plugin()
    await plugin.appear("a")
    async with SimulatedKubelet(tmp_path) as kubelet:
        await kubelet.wait_for_list(RESOURCE)


async def test_a_restart_of_the_kubelet_needs_nothing_from_the_plugin(
    kubelet: SimulatedKubelet, registry_plugin: RegistryPlugin
) -> None:
    await registry_plugin.appear("a")
    await kubelet.wait_for_list(RESOURCE)
    before = registry_plugin.path.stat().st_ctime_ns

    await kubelet.restart()

    await kubelet.wait_for_list(RESOURCE)
    assert registry_plugin.path.stat().st_ctime_ns == before


async def test_other_files_and_hidden_names_are_left_alone(
    kubelet: SimulatedKubelet, registry_plugin: RegistryPlugin, new_registry_plugin: RegistryPluginMaker
) -> None:
    hidden, below_hidden = new_registry_plugin(), new_registry_plugin(".hidden")
    hidden.path = hidden.path.with_name(".card.sock")
    (registry_plugin.directory / "file").write_text("")
    (registry_plugin.directory / "dangling").symlink_to("nothing")
    await hidden.appear("a")
    await below_hidden.appear("a")
    await registry_plugin.appear("a")

    await kubelet.wait_until(lambda: bool(kubelet.registrations))

    assert [call.method for call in kubelet.calls].count("GetInfo") == 1


async def test_a_removed_socket_is_a_deregistration(
    kubelet: SimulatedKubelet, registry_plugin: RegistryPlugin, seen: list[Event]
) -> None:
    await registry_plugin.appear("a", "b")
    await kubelet.wait_for_list(RESOURCE)

    registry_plugin.path.unlink()

    resource = await kubelet.wait_for_list(RESOURCE, none_healthy)
    assert (resource.capacity, resource.registered) == (2, True)
    await kubelet.wait_until(lambda: any(isinstance(event, StreamEnded) for event in seen))
    assert [(e.resource, e.endpoint) for e in seen if isinstance(e, Deregistration)] == [(RESOURCE, "card.sock")]


async def test_another_socket_of_the_same_name_is_registered_anew(
    kubelet: SimulatedKubelet, registry_plugin: RegistryPlugin, new_registry_plugin: RegistryPluginMaker
) -> None:
    await registry_plugin.appear("a")
    await kubelet.wait_for_list(RESOURCE)
    successor = new_registry_plugin()
    successor.path = registry_plugin.path.with_name(".next")
    await successor.appear("a", "b", "c")

    successor.path.rename(registry_plugin.path)

    assert (await successor.until_told())[0]
    await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 3)


async def test_permissions_that_change_are_no_new_socket(
    kubelet: SimulatedKubelet, registry_plugin: RegistryPlugin, new_registry_plugin: RegistryPluginMaker
) -> None:
    await registry_plugin.appear("a")
    await kubelet.wait_for_list(RESOURCE)
    registry_plugin.path.chmod(0o600)

    later = new_registry_plugin("later", resource="example.com/later")
    await later.appear("x")
    await kubelet.wait_for_list("example.com/later")

    assert kubelet.resources[RESOURCE].lists == 1


async def test_when_only_the_stream_ends_the_plugin_stays_away_until_its_socket_is_made_anew(
    kubelet: SimulatedKubelet,
    registry_plugin: RegistryPlugin,
    new_registry_plugin: RegistryPluginMaker,
    seen: list[Event],
) -> None:
    await registry_plugin.appear("a")
    await kubelet.wait_for_list(RESOURCE)

    await registry_plugin.end_streams()
    await kubelet.wait_for_list(RESOURCE, none_healthy)
    later = new_registry_plugin("later", resource="example.com/later")
    await later.appear("x")
    await kubelet.wait_for_list("example.com/later")

    assert kubelet.resources[RESOURCE].allocatable == 0
    assert not any(isinstance(event, Deregistration) for event in seen)
    await registry_plugin.vanish()
    fresh = new_registry_plugin()
    await fresh.appear("a")
    await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 1)


async def test_in_1_36_a_socket_that_goes_takes_a_later_registration_of_its_name_with_it(
    tmp_path: Path, new_registry_plugin: RegistryPluginMaker, new_plugin: PluginMaker
) -> None:
    async with SimulatedKubelet(tmp_path, version="1.36") as kubelet:
        in_registry, legacy = await _both_ways(kubelet, new_registry_plugin(), new_plugin("legacy.sock"))

        await in_registry.vanish()

        await kubelet.wait_for_list(RESOURCE, none_healthy)
        await legacy.register()
        await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 2)


async def test_in_1_37_both_ways_live_side_by_side(
    tmp_path: Path, new_registry_plugin: RegistryPluginMaker, new_plugin: PluginMaker
) -> None:
    async with SimulatedKubelet(tmp_path, version="1.37") as kubelet:
        seen: list[Event] = []
        kubelet.events.subscribe(seen.append)
        in_registry, _ = await _both_ways(kubelet, new_registry_plugin(), new_plugin("legacy.sock"))

        await in_registry.vanish()

        await kubelet.wait_until(lambda: any(isinstance(event, Deregistration) for event in seen))
        assert kubelet.resources[RESOURCE].allocatable == 2


async def _both_ways(
    kubelet: SimulatedKubelet, in_registry: RegistryPlugin, legacy: ForeignPlugin
) -> tuple[RegistryPlugin, ForeignPlugin]:
    await in_registry.appear("a")
    await kubelet.wait_until(lambda: len(kubelet.registrations) == 1)
    await legacy.start("a", "b")
    await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 2)
    assert [event.registry for event in kubelet.registrations if isinstance(event, Registration)] == [True, False]
    return in_registry, legacy


async def test_a_plugin_that_comes_and_goes_is_registered_each_time(
    kubelet: SimulatedKubelet, new_registry_plugin: RegistryPluginMaker
) -> None:
    for count in (1, 2, 3):
        plugin = new_registry_plugin()
        await plugin.appear("a")
        await kubelet.wait_until(partial(_registrations, kubelet, count))
        await plugin.vanish()
        await kubelet.wait_for_list(RESOURCE, none_healthy)
    assert [event.error for event in kubelet.registrations] == ["", "", ""]


def _registrations(kubelet: SimulatedKubelet, count: int) -> bool:
    return len(kubelet.registrations) == count and kubelet.resources[RESOURCE].allocatable == 1
