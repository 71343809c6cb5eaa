from pathlib import Path

import grpc
import pytest

from simulator.foreign_plugin import RESOURCE, ForeignPlugin, devices
from simulator.kubelet.conftest import PluginMaker
from xpu_simulator.kubelet.events import ResourceDropped, StreamEnded
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_wire import deviceplugin_v1beta1_pb2 as pb


async def test_a_registered_plugin_is_asked_for_its_options_and_then_for_its_devices(
    kubelet: SimulatedKubelet, plugin: ForeignPlugin
) -> None:
    await plugin.start("a", "b")

    resource = await kubelet.wait_for_list(RESOURCE)

    assert (resource.capacity, resource.allocatable) == (2, 2)
    assert [call.method for call in kubelet.calls] == ["GetDevicePluginOptions", "ListAndWatch"]
    assert [(r.resource, r.endpoint, r.error) for r in kubelet.registrations] == [(RESOURCE, "card.sock", "")]


async def test_another_api_version_is_refused(kubelet: SimulatedKubelet, plugin: ForeignPlugin) -> None:
    await plugin.serve()

    with pytest.raises(grpc.aio.AioRpcError, match=r'"v1" is not supported') as failure:
        await plugin.register(version="v1")

    assert failure.value.code() is grpc.StatusCode.UNKNOWN
    assert kubelet.registrations[-1].error


async def test_an_invalid_resource_name_is_refused_with_the_broken_rule(
    kubelet: SimulatedKubelet, plugin: ForeignPlugin
) -> None:
    await plugin.serve()

    with pytest.raises(grpc.aio.AioRpcError, match=r'ResourceName "card" is invalid: it has no slash') as failure:
        await plugin.register(resource="card")

    assert failure.value.code() is grpc.StatusCode.UNKNOWN
    assert "card" not in kubelet.resources


async def test_registering_before_serving_fails_when_the_kubelet_dials_in_vain(
    kubelet: SimulatedKubelet, plugin: ForeignPlugin
) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="failed to dial device plugin") as failure:
        await plugin.register()

    assert failure.value.code() is grpc.StatusCode.UNKNOWN


async def test_registering_fails_when_the_plugin_cannot_tell_its_options(
    kubelet: SimulatedKubelet, plugin: ForeignPlugin
) -> None:
    plugin.failing = {"GetDevicePluginOptions"}
    await plugin.serve()

    with pytest.raises(grpc.aio.AioRpcError, match="code = FailedPrecondition desc = told to fail"):
        await plugin.register()


async def test_each_list_replaces_the_one_before(kubelet: SimulatedKubelet, plugin: ForeignPlugin) -> None:
    await plugin.start("a", "b", "c")
    await kubelet.wait_for_list(RESOURCE)

    await plugin.send(devices("b") + devices("c", health="Unhealthy") + devices("d", health="healthy"))

    resource = await kubelet.wait_for_list(RESOURCE, lambda listed: listed.lists == 2)
    assert (resource.capacity, resource.allocatable, set(resource.devices)) == (3, 1, {"b", "c", "d"})


async def test_an_empty_list_leaves_the_resource_with_nothing(kubelet: SimulatedKubelet, plugin: ForeignPlugin) -> None:
    await plugin.start("a")
    await kubelet.wait_for_list(RESOURCE)

    await plugin.send([])

    resource = await kubelet.wait_for_list(RESOURCE, lambda listed: listed.lists == 2)
    assert (resource.capacity, resource.registered) == (0, True)


async def test_numa_nodes_are_read_and_node_0_counts(kubelet: SimulatedKubelet, plugin: ForeignPlugin) -> None:
    topology = pb.TopologyInfo(nodes=[pb.NUMANode(ID=0), pb.NUMANode(ID=3)])
    await plugin.serve()
    plugin.devices = [pb.Device(ID="a", health="Healthy", topology=topology)]
    await plugin.register()

    resource = await kubelet.wait_for_list(RESOURCE)

    assert resource.devices["a"].numa_nodes == (0, 3)


@pytest.mark.parametrize("how", ["end_streams", "stop"])
async def test_when_the_stream_ends_all_devices_are_unhealthy_and_it_is_not_opened_again(
    kubelet: SimulatedKubelet, plugin: ForeignPlugin, how: str
) -> None:
    await plugin.start("a", "b")
    await kubelet.wait_for_list(RESOURCE)

    await (plugin.end_streams() if how == "end_streams" else plugin.stop())

    resource = await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 0)
    assert (resource.capacity, resource.registered) == (2, True)
    assert [call.method for call in kubelet.calls].count("ListAndWatch") == 1


async def test_a_plugin_that_comes_back_has_its_devices_again(kubelet: SimulatedKubelet, plugin: ForeignPlugin) -> None:
    await plugin.start("a")
    await kubelet.wait_for_list(RESOURCE)
    await plugin.stop()
    await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 0)

    await plugin.start("a")

    await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 1)


async def test_a_lost_resource_is_dropped_after_the_grace_period(tmp_path: Path, new_plugin: PluginMaker) -> None:
    async with SimulatedKubelet(tmp_path, grace=0.01) as kubelet:
        dropped: list[object] = []
        kubelet.events.subscribe(lambda event: dropped.append(event) if isinstance(event, ResourceDropped) else None)
        plugin = new_plugin()
        await plugin.start("a")
        await kubelet.wait_for_list(RESOURCE)
        await plugin.stop()

        await kubelet.wait_until(lambda: len(dropped) == 1)

        assert (kubelet.resources[RESOURCE].capacity, kubelet.resources[RESOURCE].registered) == (0, False)
        assert RESOURCE in kubelet.resources  # node status keeps the key


async def test_a_list_above_4_mib_ends_the_stream(kubelet: SimulatedKubelet, plugin: ForeignPlugin) -> None:
    ended: list[StreamEnded] = []
    kubelet.events.subscribe(lambda event: ended.append(event) if isinstance(event, StreamEnded) else None)
    await plugin.start("a")
    await kubelet.wait_for_list(RESOURCE)

    await plugin.send(devices(*(f"{number:063}" for number in range(60_000))))

    await kubelet.wait_until(lambda: bool(ended))
    assert "code = ResourceExhausted" in ended[0].reason
    assert kubelet.resources[RESOURCE].allocatable == 0


async def test_a_slow_kubelet_blocks_the_sender_until_it_reads_again(
    kubelet: SimulatedKubelet, plugin: ForeignPlugin
) -> None:
    big = [f"{number:063}" for number in range(20_000)]  # 1.5 MB: far more than the stream's window
    await plugin.start("a")
    await kubelet.wait_for_list(RESOURCE)
    kubelet.pause_reading(RESOURCE)

    for _ in range(4):
        await plugin.send(devices(*big))
    await plugin.send(devices("b"))

    assert plugin.sent < 5
    kubelet.resume_reading(RESOURCE)
    await kubelet.wait_for_list(RESOURCE, lambda listed: set(listed.devices) == {"b"})


@pytest.mark.parametrize("authority", ["localhost", "/var/lib/x.sock", "%2Fvar%2Flib%2Fx.sock"])
async def test_the_authority_is_a_parameter(tmp_path: Path, new_plugin: PluginMaker, authority: str) -> None:
    async with SimulatedKubelet(tmp_path, authority=authority) as kubelet:
        await new_plugin().start("a")
        await kubelet.wait_for_list(RESOURCE)
