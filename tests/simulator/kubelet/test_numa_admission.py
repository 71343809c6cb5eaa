from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from simulator.foreign_plugin import RESOURCE, ForeignPlugin
from simulator.kubelet.conftest import PluginMaker
from xpu_simulator.kubelet.events import Event, PodRejected
from xpu_simulator.kubelet.pods import AdmissionError
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_wire import deviceplugin_v1beta1_pb2 as pb

OTHER = "example.com/other"


class Node:
    """A kubelet with a policy and a plugin with devices on two NUMA nodes: a0 a1 a2, b0 b1, and x on none."""

    def __init__(self, kubelet: SimulatedKubelet, plugin: ForeignPlugin) -> None:
        self.kubelet = kubelet
        self.plugin = plugin

    def asked(self) -> list[tuple[set[str], set[str], int]]:
        containers = [
            container
            for request in self.plugin.requests
            if isinstance(request, pb.PreferredAllocationRequest)
            for container in request.container_requests
        ]
        return [(set(c.available_deviceIDs), set(c.must_include_deviceIDs), c.allocation_size) for c in containers]


@pytest.fixture
async def node(tmp_path: Path, new_plugin: PluginMaker, request: pytest.FixtureRequest) -> AsyncGenerator[Node]:
    async with SimulatedKubelet(tmp_path, seed=1, topology_policy=request.param, numa_nodes=(0, 1)) as kubelet:
        plugin = new_plugin()
        plugin.options = pb.DevicePluginOptions(get_preferred_allocation_available=True)
        plugin.devices = [
            *(device(id_, 0) for id_ in ("a0", "a1", "a2")),
            *(device(id_, 1) for id_ in ("b0", "b1")),
            pb.Device(ID="x", health="Healthy"),
        ]
        await plugin.serve()
        await plugin.register()
        await kubelet.wait_for_list(RESOURCE)
        yield Node(kubelet, plugin)


def device(id_: str, *nodes: int) -> pb.Device:
    topology = pb.TopologyInfo(nodes=[pb.NUMANode(ID=node) for node in nodes])
    return pb.Device(ID=id_, health="Healthy", topology=topology)


def policy(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("node", names, indirect=True)


@policy("none")
async def test_without_a_policy_the_plugin_is_asked_with_everything(node: Node) -> None:
    node.plugin.preferred = ["a0", "b0"]
    pod = await node.kubelet.admit("pod", {RESOURCE: 2})
    assert pod.devices[RESOURCE] == ("a0", "b0")
    assert node.asked() == [({"a0", "a1", "a2", "b0", "b1", "x"}, set(), 2)]


@policy("best-effort", "restricted", "single-numa-node")
async def test_the_plugin_is_asked_with_the_nodes_devices_when_they_are_more_than_needed(node: Node) -> None:
    node.plugin.preferred = ["a2", "b0", "x"]
    pod = await node.kubelet.admit("pod", {RESOURCE: 2})
    assert node.asked() == [({"a0", "a1", "a2"}, set(), 2)]
    assert "a2" in pod.devices[RESOURCE]
    assert set(pod.devices[RESOURCE]) <= {"a0", "a1", "a2"}


@policy("best-effort", "restricted", "single-numa-node")
async def test_the_plugin_is_not_asked_when_the_node_has_just_as_many_as_needed(node: Node) -> None:
    pod = await node.kubelet.admit("pod", {RESOURCE: 3})
    assert pod.devices[RESOURCE] == ("a0", "a1", "a2")
    assert node.asked() == []


@policy("best-effort")
async def test_best_effort_takes_all_of_the_nodes_and_fills_with_the_rest(node: Node) -> None:
    pod = await node.kubelet.admit("pod", {RESOURCE: 6})
    assert set(pod.devices[RESOURCE]) == {"a0", "a1", "a2", "b0", "b1", "x"}
    assert node.asked() == [({"a0", "a1", "a2", "b0", "b1", "x"}, {"a0", "a1", "a2", "b0", "b1"}, 6)]


@policy("restricted", "single-numa-node")
async def test_devices_that_only_fit_on_two_nodes_though_one_would_do_are_refused(node: Node) -> None:
    seen: list[Event] = []
    node.kubelet.events.subscribe(seen.append)
    await node.kubelet.admit("a", {RESOURCE: 2})
    await node.kubelet.admit("b", {RESOURCE: 1})

    with pytest.raises(AdmissionError, match="TopologyAffinityError") as failure:
        await node.kubelet.admit("pod", {RESOURCE: 3})

    assert failure.value.reason == "TopologyAffinityError"
    assert [event.reason for event in seen if isinstance(event, PodRejected)] == ["TopologyAffinityError"]
    assert set(node.kubelet.pods) == {"a", "b"}


@policy("best-effort")
async def test_best_effort_lets_them_in(node: Node) -> None:
    await node.kubelet.admit("a", {RESOURCE: 2})
    pod = await node.kubelet.admit("pod", {RESOURCE: 3})
    assert set(pod.devices[RESOURCE]) <= {"a0", "a1", "a2", "b0", "b1"}


@policy("restricted")
async def test_restricted_lets_in_what_needs_both_nodes(node: Node) -> None:
    pod = await node.kubelet.admit("pod", {RESOURCE: 5})
    assert set(pod.devices[RESOURCE]) == {"a0", "a1", "a2", "b0", "b1"}


@policy("single-numa-node")
async def test_one_node_has_to_be_enough_for_single_numa_node(node: Node) -> None:
    with pytest.raises(AdmissionError, match="TopologyAffinityError"):
        await node.kubelet.admit("pod", {RESOURCE: 4})


@policy("restricted")
async def test_too_few_devices_are_an_affinity_error_too_where_the_policy_rejects(node: Node) -> None:
    with pytest.raises(AdmissionError, match="TopologyAffinityError"):
        await node.kubelet.admit("pod", {RESOURCE: 7})


@policy("best-effort")
async def test_too_few_devices_are_told_as_such_where_it_does_not(node: Node) -> None:
    with pytest.raises(AdmissionError, match="Requested: 7, Available: 6"):
        await node.kubelet.admit("pod", {RESOURCE: 7})


@policy("single-numa-node")
async def test_two_resources_of_a_pod_come_from_the_same_node(node: Node, new_plugin: PluginMaker) -> None:
    other = new_plugin("other.sock", OTHER)
    other.devices = [device("far", 1)]
    await other.serve()
    await other.register()
    await node.kubelet.wait_for_list(OTHER)

    pod = await node.kubelet.admit("pod", {RESOURCE: 1, OTHER: 1})

    assert pod.devices[RESOURCE][0].startswith("b")


@policy("single-numa-node")
async def test_a_resource_without_topology_is_let_in(node: Node, new_plugin: PluginMaker) -> None:
    other = new_plugin("other.sock", OTHER)
    await other.start("anywhere")
    await node.kubelet.wait_for_list(OTHER)
    assert (await node.kubelet.admit("pod", {OTHER: 1})).devices == {OTHER: ("anywhere",)}


async def test_without_numa_nodes_told_those_that_devices_name_are_the_machines(
    tmp_path: Path, new_plugin: PluginMaker
) -> None:
    async with SimulatedKubelet(tmp_path, topology_policy="single-numa-node") as kubelet:
        plugin = new_plugin()
        await plugin.start("nowhere")
        await kubelet.wait_for_list(RESOURCE)
        await kubelet.admit("first", {RESOURCE: 1})
        await plugin.send([device("a", 4), device("b", 5), device("c", -1, 64)])
        await kubelet.wait_for_list(RESOURCE, lambda listed: listed.capacity == 3)

        assert (await kubelet.admit("pod", {RESOURCE: 1})).devices == {RESOURCE: ("a",)}
        await plugin.send([device(f"d{number}", number) for number in range(9)])
        await kubelet.wait_for_list(RESOURCE, lambda listed: listed.capacity == 9)
        with pytest.raises(AdmissionError, match="more than 8 NUMA Nodes"):
            await kubelet.admit("other", {RESOURCE: 1})


@pytest.mark.parametrize(("name", "nodes"), [("strict", None), ("restricted", range(9))])
def test_a_policy_that_kubelets_do_not_take_is_refused(tmp_path: Path, name: str, nodes: range | None) -> None:
    with pytest.raises(ValueError, match="topology policy"):
        SimulatedKubelet(tmp_path, topology_policy=name, numa_nodes=nodes)
