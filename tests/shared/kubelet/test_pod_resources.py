"""Who holds which device: the client against a pod-resources server whose answer is at hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from framework import QUICK, RESOURCE, DemoPlugin, Node, running, unit
from xpu_shared.kubelet.holders import Claim, Holder
from xpu_shared.kubelet.pod_resources import PodResources
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_wire import podresources_v1_pb2 as pb
from xpu_wire.podresources_v1_pb2_grpc import PodResourcesListerServicer, add_PodResourcesListerServicer_to_server

if TYPE_CHECKING:
    from grpc.aio import ServicerContext

    Context = ServicerContext[object, object]


def held(pod: str, *ids: str, resource: str = RESOURCE, container: str = "main") -> pb.PodResources:
    devices = [pb.ContainerDevices(resource_name=resource, device_ids=[id_]) for id_ in ids]
    return pb.PodResources(
        name=pod, namespace="default", containers=[pb.ContainerResources(name=container, devices=devices)]
    )


class Lister(PodResourcesListerServicer):
    def __init__(self, *pods: pb.PodResources) -> None:
        self.pods = list(pods)
        self.error: grpc.StatusCode | None = None
        self.asked = 0
        self.again = asyncio.Event()

    async def List(self, request: pb.ListPodResourcesRequest, context: "Context") -> pb.ListPodResourcesResponse:
        self.asked += 1
        self.again.set()
        if self.error is not None:
            await context.abort(self.error, "rejected by rate limit")
        return pb.ListPodResourcesResponse(pod_resources=self.pods)

    async def Get(self, request: pb.GetPodResourcesRequest, context: "Context") -> pb.GetPodResourcesResponse:
        raise NotImplementedError

    async def GetAllocatableResources(
        self, request: pb.AllocatableResourcesRequest, context: "Context"
    ) -> pb.AllocatableResourcesResponse:
        raise NotImplementedError


@asynccontextmanager
async def serving(root: Path, lister: Lister) -> AsyncIterator[Path]:
    path = root / "pod-resources/kubelet.sock"
    path.parent.mkdir(exist_ok=True)
    server = grpc.aio.server()
    add_PodResourcesListerServicer_to_server(lister, server)
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    try:
        yield path
    finally:
        await server.stop(None)


async def test_bytes_that_are_no_answer_change_nothing(tmp_path: Path) -> None:
    answers = [pb.ListPodResourcesResponse(pod_resources=[held("a", "unit0")]).SerializeToString(), b"\xff\xff"]

    async def answer(request: object, context: object) -> bytes:
        return answers.pop(0)

    methods: dict[str, grpc.RpcMethodHandler[object, object]] = {"List": grpc.unary_unary_rpc_method_handler(answer)}
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("v1.PodResourcesLister", methods),))
    server.add_insecure_port(f"unix:{tmp_path / 's'}")
    await server.start()
    resources = PodResources(tmp_path / "s")

    assert await resources.refresh()
    assert not await resources.refresh()
    assert list(resources.holders) == [(RESOURCE, "unit0")]
    await resources.close()
    await server.stop(None)


async def test_every_holder_of_a_device_is_told_once(tmp_path: Path) -> None:
    lister = Lister(held("a", "unit0", "unit0", "unit1"), held("b", "unit1"), held("c", "x", resource="other/thing"))
    async with serving(tmp_path, lister) as path:
        resources = PodResources(path)
        assert await resources.refresh()

        a, b = Holder("default", "a", "main"), Holder("default", "b", "main")
        assert resources.holders[RESOURCE, "unit0"] == {a}
        assert resources.holders[RESOURCE, "unit1"] == {a, b}
        assert resources.held(RESOURCE) == {"unit0", "unit1"}
        await resources.close()


async def test_devices_of_claims_are_told_beside_those_of_resources(tmp_path: Path) -> None:
    claimed = pb.ClaimResource(
        driver_name="gpu.intel.com", device_name="0000-03-00-0", cdi_devices=[pb.CDIDevice(name="intel.com/gpu=card0")]
    )
    resource = pb.DynamicResource(claim_name="c", claim_namespace="ai", claim_resources=[claimed, claimed])
    container = pb.ContainerResources(name="main", dynamic_resources=[resource])
    lister = Lister(pb.PodResources(name="train", namespace="ai", containers=[container]), held("a", "unit0"))
    async with serving(tmp_path, lister) as path:
        resources = PodResources(path)
        assert await resources.refresh()
        await resources.close()

    claim = Claim("gpu.intel.com", "0000-03-00-0", ("intel.com/gpu=card0",))
    assert resources.claims == {claim: {Holder("ai", "train", "main")}}
    assert set(resources.holders) == {(RESOURCE, "unit0")}


async def test_listeners_hear_of_changes_only(tmp_path: Path) -> None:
    lister = Lister(held("a", "unit0"))
    changes: list[int] = []
    async with serving(tmp_path, lister) as path:
        resources = PodResources(path)
        resources.listen(lambda: changes.append(1))
        await resources.refresh()
        await resources.refresh()
        lister.pods = []
        await resources.refresh()
        await resources.close()

    assert len(changes) == 2
    assert resources.holders == {}


async def asked(lister: Lister, times: int) -> None:
    while lister.asked < times:
        lister.again.clear()
        await asyncio.wait_for(lister.again.wait(), 10)


async def test_in_quiet_times_the_kubelet_is_asked_once_and_again_when_news_are_expected(tmp_path: Path) -> None:
    lister = Lister(held("a", "unit0"))
    async with serving(tmp_path, lister) as path:
        other = PodResources(path)
        resources = PodResources(path, period=0.001, quiet_period=600.0)
        asking = asyncio.create_task(resources.run())
        await asked(lister, 1)
        for _ in range(50):
            await other.refresh()
        assert lister.asked == 51

        resources.expect_news()
        await asked(lister, 52)
        await other.close()
        asking.cancel()
        await asyncio.wait({asking})


@pytest.mark.parametrize("error", [None, grpc.StatusCode.RESOURCE_EXHAUSTED])
async def test_the_kubelet_is_asked_on_while_something_depends_on_it_or_it_does_not_answer(
    tmp_path: Path, error: grpc.StatusCode | None
) -> None:
    lister = Lister(held("a", "unit0"))
    lister.error = error
    async with serving(tmp_path, lister) as path:
        resources = PodResources(path, period=0.001, quiet_period=600.0)
        resources.listen(lambda: None, in_doubt=lambda: error is None)
        asking = asyncio.create_task(resources.run())
        await asked(lister, 5)
        asking.cancel()
        await asyncio.wait({asking})


async def test_without_the_socket_nothing_is_known_and_nothing_fails_and_one_line_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    resources = PodResources(tmp_path / "kubelet.sock")

    for _ in range(3):
        assert not await resources.refresh()
    assert resources.held(RESOURCE) == frozenset()
    assert len(caplog.records) == 1
    assert "does not know who holds devices" in caplog.text


@pytest.mark.parametrize("code", [grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNIMPLEMENTED])
async def test_what_was_known_stays_while_the_kubelet_refuses(tmp_path: Path, code: grpc.StatusCode) -> None:
    lister = Lister(held("a", "unit0"))
    async with serving(tmp_path, lister) as path:
        resources = PodResources(path)
        await resources.refresh()
        lister.error = code
        assert not await resources.refresh()
        assert resources.held(RESOURCE) == {"unit0"}
        lister.error, lister.pods = None, []
        assert await resources.refresh()
        assert resources.held(RESOURCE) == frozenset()
        await resources.close()


async def test_an_answer_larger_than_4_mib_is_taken(tmp_path: Path) -> None:
    pods = [held(f"pod-{number}", *(f"{number}-{n:050}" for n in range(50))) for number in range(1000)]
    async with serving(tmp_path, Lister(*pods)) as path:
        resources = PodResources(path)
        assert await resources.refresh()
        assert len(resources.holders) == 50_000
        await resources.close()


async def test_a_device_that_is_held_stays_listed_after_its_retention_and_goes_when_it_is_free(tmp_path: Path) -> None:
    plugin = DemoPlugin(devices={"unit": [unit("unit0")]})
    async with running(tmp_path, plugin, lost_device_retention=0.0) as node:
        await node.kubelet.wait_for_list(RESOURCE)
        await node.kubelet.admit("holder", {RESOURCE: 1})
        plugin.devices = {"unit": [unit("unit0"), unit("unit1")]}
        node.uevent()
        await node.kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 2)
        await asyncio.wait_for(known(node), 10)

        plugin.devices = {"unit": [unit("unit1")]}
        node.uevent()
        await node.kubelet.wait_for_list(RESOURCE, lambda listed: (listed.allocatable, listed.capacity) == (1, 2))
        before = plugin.scans
        node.uevent()
        await plugin.scanned(before + 4)
        assert node.kubelet.resources[RESOURCE].capacity == 2

        node.kubelet.delete("holder")
        await node.kubelet.wait_for_list(RESOURCE, lambda listed: listed.capacity == 1)


async def known(node: Node) -> None:
    """Wait until the pod-resources API tells of a holder, and has been asked since."""
    resources = PodResources(node.root / "pod-resources/kubelet.sock", period=0.02)
    told = asyncio.Event()
    resources.listen(told.set)
    asking = asyncio.create_task(resources.run())
    await told.wait()
    asking.cancel()
    await asyncio.wait({asking})
    await asyncio.sleep(2 * QUICK.holders)


async def test_a_device_that_went_while_no_plugin_ran_is_listed_for_its_holder(tmp_path: Path) -> None:
    kubelet = SimulatedKubelet(tmp_path)
    async with kubelet:
        async with running(tmp_path, DemoPlugin(devices={"unit": [unit("unit7")]}), kubelet=kubelet):
            await kubelet.wait_for_list(RESOURCE)
            await kubelet.admit("holder", {RESOURCE: 1})
        async with running(tmp_path, DemoPlugin(), kubelet=kubelet):
            listed = await kubelet.wait_for_list(
                RESOURCE, lambda listed: set(listed.devices) == {"unit0", "unit1", "unit7"}
            )
            assert listed.devices["unit7"].health == "Unhealthy"
            assert listed.allocatable == 2
