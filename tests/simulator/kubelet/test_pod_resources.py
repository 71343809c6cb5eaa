from collections.abc import AsyncGenerator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.foreign_plugin import RESOURCE, ForeignPlugin
from xpu_simulator.kubelet.pod_resources import RateLimit, TokenBucket
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_wire import deviceplugin_v1beta1_pb2 as api
from xpu_wire import podresources_v1_pb2 as pb
from xpu_wire.podresources_v1_pb2_grpc import PodResourcesListerStub

if TYPE_CHECKING:
    from xpu_wire.podresources_v1_pb2_grpc import PodResourcesListerAsyncStub

Entry = tuple[str, str, tuple[int, ...]]


def device(id_: str, *nodes: int, health: str = "Healthy", topology: bool = True) -> api.Device:
    info = api.TopologyInfo(nodes=[api.NUMANode(ID=node) for node in nodes]) if topology else None
    return api.Device(ID=id_, health=health, topology=info)


def entries(devices: Iterable[pb.ContainerDevices]) -> set[Entry]:
    found: list[Entry] = []
    for entry in devices:
        (id_,) = entry.device_ids
        found.append((entry.resource_name, id_, tuple(node.ID for node in entry.topology.nodes)))
    assert len(found) == len(set(found))
    return set(found)


@pytest.fixture
async def lister(kubelet: SimulatedKubelet) -> "AsyncGenerator[PodResourcesListerAsyncStub]":
    async with grpc.aio.insecure_channel(f"unix:{kubelet.pod_resources_socket}") as channel:
        yield PodResourcesListerStub(channel)


@pytest.fixture
async def ready(kubelet: SimulatedKubelet, plugin: ForeignPlugin) -> ForeignPlugin:
    plugin.devices = [
        device("near", 0),
        device("between", 0, 1),
        device("anywhere", topology=False),
        device("nowhere"),
        device("ill", 1, health="Unhealthy"),
    ]
    await plugin.serve()
    await plugin.register()
    await kubelet.wait_for_list(RESOURCE)
    return plugin


async def test_the_socket_is_where_it_is_on_a_node(kubelet: SimulatedKubelet, tmp_path: Path) -> None:
    assert (tmp_path / "pod-resources" / "kubelet.sock").is_socket()


async def test_a_pod_is_listed_with_an_entry_for_each_device_and_node(
    kubelet: SimulatedKubelet, ready: ForeignPlugin, lister: "PodResourcesListerAsyncStub"
) -> None:
    await kubelet.admit("empty", {})
    await kubelet.admit("pod", {RESOURCE: 4})

    empty, pod = (await lister.List(pb.ListPodResourcesRequest())).pod_resources

    assert (pod.namespace, pod.name, [container.name for container in pod.containers]) == ("default", "pod", ["main"])
    assert entries(pod.containers[0].devices) == {
        (RESOURCE, "near", (0,)),
        (RESOURCE, "between", (0,)),
        (RESOURCE, "between", (1,)),
        (RESOURCE, "anywhere", ()),
        (RESOURCE, "nowhere", ()),
    }
    assert not empty.containers[0].devices


async def test_only_healthy_devices_are_allocatable_and_those_on_no_node_are_left_out(
    kubelet: SimulatedKubelet, ready: ForeignPlugin, lister: "PodResourcesListerAsyncStub"
) -> None:
    await kubelet.admit("pod", {RESOURCE: 1})

    answer = await lister.GetAllocatableResources(pb.AllocatableResourcesRequest())

    assert entries(answer.devices) == {
        (RESOURCE, "near", (0,)),
        (RESOURCE, "between", (0,)),
        (RESOURCE, "between", (1,)),
        (RESOURCE, "anywhere", ()),
    }


async def test_one_pod_can_be_asked_for(
    kubelet: SimulatedKubelet, ready: ForeignPlugin, lister: "PodResourcesListerAsyncStub"
) -> None:
    await kubelet.admit("pod", {RESOURCE: 4})
    listed = (await lister.List(pb.ListPodResourcesRequest())).pod_resources[0]

    answer = await lister.Get(pb.GetPodResourcesRequest(pod_name="pod", pod_namespace="default"))

    assert answer.pod_resources == listed


@pytest.mark.parametrize(("name", "namespace"), [("other", "default"), ("pod", "other"), ("", "")])
async def test_an_unknown_pod_is_status_unknown(
    kubelet: SimulatedKubelet, lister: "PodResourcesListerAsyncStub", name: str, namespace: str
) -> None:
    await kubelet.admit("pod", {})

    with pytest.raises(grpc.aio.AioRpcError, match=f"pod {name} in namespace {namespace} not found") as failure:
        await lister.Get(pb.GetPodResourcesRequest(pod_name=name, pod_namespace=namespace))

    assert failure.value.code() is grpc.StatusCode.UNKNOWN


@pytest.mark.parametrize(("version", "text"), [("1.33", "Get method disabled"), ("1.34", "pod pod in namespace ")])
async def test_before_1_34_one_pod_cannot_be_asked_for(tmp_path: Path, version: str, text: str) -> None:
    async with (
        SimulatedKubelet(tmp_path, version=version) as kubelet,
        grpc.aio.insecure_channel(f"unix:{kubelet.pod_resources_socket}") as channel,
    ):
        lister: PodResourcesListerAsyncStub = PodResourcesListerStub(channel)
        with pytest.raises(grpc.aio.AioRpcError, match=text) as failure:
            await lister.Get(pb.GetPodResourcesRequest(pod_name="pod", pod_namespace="default"))
        assert failure.value.code() is grpc.StatusCode.UNKNOWN
        assert not (await lister.List(pb.ListPodResourcesRequest())).pod_resources


async def test_a_deleted_pod_is_listed_no_longer(
    kubelet: SimulatedKubelet, ready: ForeignPlugin, lister: "PodResourcesListerAsyncStub"
) -> None:
    await kubelet.admit("pod", {RESOURCE: 1})
    kubelet.delete("pod")
    assert not (await lister.List(pb.ListPodResourcesRequest())).pod_resources


async def test_a_device_stays_with_its_pod_when_its_plugin_lists_it_no_longer(
    kubelet: SimulatedKubelet, ready: ForeignPlugin, lister: "PodResourcesListerAsyncStub"
) -> None:
    await kubelet.admit("pod", {RESOURCE: 4})
    await ready.send([])
    await kubelet.wait_for_list(RESOURCE, lambda listed: listed.capacity == 0)

    (pod,) = (await lister.List(pb.ListPodResourcesRequest())).pod_resources

    assert (RESOURCE, "between", (1,)) in entries(pod.containers[0].devices)
    assert not (await lister.GetAllocatableResources(pb.AllocatableResourcesRequest())).devices


async def test_too_many_requests_are_rejected_whatever_they_ask(tmp_path: Path) -> None:
    limit = RateLimit(per_second=0.001, burst=2)
    async with (
        SimulatedKubelet(tmp_path, pod_resources_limit=limit) as kubelet,
        grpc.aio.insecure_channel(f"unix:{kubelet.pod_resources_socket}") as channel,
    ):
        lister = PodResourcesListerStub(channel)
        await lister.List(pb.ListPodResourcesRequest())
        await lister.GetAllocatableResources(pb.AllocatableResourcesRequest())
        with pytest.raises(grpc.aio.AioRpcError, match="rejected by rate limit") as failure:
            await lister.Get(pb.GetPodResourcesRequest())

    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_the_api_ends_with_the_kubelet_and_comes_back_on_another_socket(
    kubelet: SimulatedKubelet, ready: ForeignPlugin
) -> None:
    await kubelet.admit("pod", {RESOURCE: 1})
    before = kubelet.pod_resources_socket.stat().st_ctime_ns

    await kubelet.stop()
    assert kubelet.pod_resources_socket.stat().st_ctime_ns == before
    async with grpc.aio.insecure_channel(f"unix:{kubelet.pod_resources_socket}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await PodResourcesListerStub(channel).List(pb.ListPodResourcesRequest())
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE

    await kubelet.start()
    assert kubelet.pod_resources_socket.stat().st_ctime_ns != before
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"unix:{kubelet.pod_resources_socket}", options=options) as channel:
        listed = await PodResourcesListerStub(channel).List(pb.ListPodResourcesRequest())
    assert [pod.name for pod in listed.pod_resources] == ["pod"]


def test_a_burst_is_taken_at_once_and_the_rate_after_it() -> None:
    bucket = TokenBucket(RateLimit(), now=5.0)
    assert [bucket.take(5.0) for _ in range(11)] == [True] * 10 + [False]
    assert not bucket.take(5.009)
    assert bucket.take(5.011)
    assert [bucket.take(99.0) for _ in range(11)] == [True] * 10 + [False]


@given(
    waits=st.lists(st.floats(min_value=0, max_value=0.1), max_size=60),
    per_second=st.floats(min_value=0.1, max_value=200),
    burst=st.integers(min_value=1, max_value=20),
)
def test_no_more_is_taken_than_the_limit_allows(waits: list[float], per_second: float, burst: int) -> None:
    bucket = TokenBucket(RateLimit(per_second=per_second, burst=burst), now=0.0)
    now = taken = 0.0
    for wait in waits:
        now += wait
        taken += bucket.take(now)
        assert taken <= burst + now * per_second + 1e-6
