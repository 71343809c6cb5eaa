"""The kubelet's calls, made by a client over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from framework import RESOURCE, DemoPlugin, Node, running, unit
from xpu_shared.cdi import file_name
from xpu_shared.device import Allocation, CdiDevice, Device, DeviceNode, Health
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_wire import deviceplugin_v1beta1_pb2 as pb
from xpu_wire.deviceplugin_v1beta1_pb2_grpc import DevicePluginStub

if TYPE_CHECKING:
    from xpu_wire.deviceplugin_v1beta1_pb2_grpc import DevicePluginAsyncStub

KIND = "intel.cdi.k8s.io/demo"


def node(path: str) -> DeviceNode:
    return DeviceNode(host_path=path, container_path=path)


M1 = Device(id="m1", nodes=(node("/dev/x0"),), envs={"A": "1"}, cdi=CdiDevice(kind=KIND, name="unit0"))
M2 = Device(id="m2", nodes=(node("/dev/x1"), node("/dev/xctl")), envs={"A": "2", "B": "3"})
SICK = Device(id="sick", health=Health.UNHEALTHY, reason="too hot")


@dataclass
class FullPlugin(DemoPlugin):
    """Has every optional part, and records what it was asked."""

    devices: dict[str, Sequence[Device]] = field(default_factory=lambda: {"unit": [M1, M2, SICK]})
    cdi_kinds: Sequence[str] = (KIND,)
    chosen: Sequence[str] | None = None
    started: list[Sequence[str]] = field(default_factory=list)
    error: Exception | None = None

    def prefer(
        self, device_type: str, available: Sequence[str], must_include: Sequence[str], size: int
    ) -> Sequence[str]:
        if self.error:
            raise self.error
        return sorted(available)[:size] if self.chosen is None else self.chosen

    def prepare(self, device_type: str, ids: Sequence[str], allocation: Allocation) -> Allocation:
        if self.error:
            raise self.error
        return replace(allocation, envs={**allocation.envs, "IDS": ",".join(ids)})

    def before_start(self, device_type: str, ids: Sequence[str]) -> None:
        if self.error:
            raise self.error
        self.started.append(ids)


@asynccontextmanager
async def client(
    root: Path, plugin: DemoPlugin, device_list: str = "both"
) -> AsyncIterator[tuple[Node, "DevicePluginAsyncStub"]]:
    async with running(root, plugin, device_list=device_list) as running_node:
        await running_node.kubelet.wait_for_list(RESOURCE)
        path = running_node.kubelet.device_plugins / "demo.intel.com-unit.sock"
        async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
            yield running_node, DevicePluginStub(channel)


def asked(*containers: Sequence[str]) -> pb.AllocateRequest:
    return pb.AllocateRequest(container_requests=[pb.ContainerAllocateRequest(devices_ids=ids) for ids in containers])


def preferring(available: Sequence[str], size: int, must_include: Sequence[str] = ()) -> pb.PreferredAllocationRequest:
    request = pb.ContainerPreferredAllocationRequest(
        available_deviceIDs=available, must_include_deviceIDs=must_include, allocation_size=size
    )
    return pb.PreferredAllocationRequest(container_requests=[request])


async def test_options_follow_what_the_plugin_has(tmp_path: Path) -> None:
    async with client(tmp_path, FullPlugin()) as (_, stub):
        options = await stub.GetDevicePluginOptions(pb.Empty())
        assert (options.pre_start_required, options.get_preferred_allocation_available) == (True, True)


async def test_options_of_a_plugin_without_optional_parts_are_off(tmp_path: Path) -> None:
    async with client(tmp_path, DemoPlugin()) as (_, stub):
        options = await stub.GetDevicePluginOptions(pb.Empty())
        assert (options.pre_start_required, options.get_preferred_allocation_available) == (False, False)


async def test_an_allocation_has_nodes_envs_and_cdi_names_in_order(tmp_path: Path) -> None:
    async with client(tmp_path, FullPlugin()) as (_, stub):
        (response,) = (await stub.Allocate(asked(["m2", "m1"]))).container_responses

        assert [device.container_path for device in response.devices] == ["/dev/x1", "/dev/xctl", "/dev/x0"]
        assert {device.permissions for device in response.devices} == {"rw"}
        assert dict(response.envs) == {"A": "1", "B": "3", "IDS": "m2,m1"}
        assert [device.name for device in response.cdi_devices] == [f"{KIND}=unit0"]


@pytest.mark.parametrize("containers", [[], [["m1"], ["m2"], ["m1"]]])
async def test_every_container_request_has_its_response_in_order(tmp_path: Path, containers: list[list[str]]) -> None:
    async with client(tmp_path, FullPlugin()) as (_, stub):
        responses = (await stub.Allocate(asked(*containers))).container_responses

        assert [response.envs["IDS"] for response in responses] == [",".join(ids) for ids in containers]


@pytest.mark.parametrize(
    ("ids", "code", "details"),
    [
        (["m1", "nope"], grpc.StatusCode.NOT_FOUND, "demo.intel.com/unit: device 'nope'"),
        (["sick"], grpc.StatusCode.FAILED_PRECONDITION, "too hot"),
        ([], grpc.StatusCode.INVALID_ARGUMENT, "names no device"),
        (["m1", "m1"], grpc.StatusCode.INVALID_ARGUMENT, "'m1' is requested twice"),
        (["x" * 100_000], grpc.StatusCode.NOT_FOUND, "xxx…"),
    ],
)
async def test_a_refused_allocation_says_why(
    tmp_path: Path, ids: list[str], code: grpc.StatusCode, details: str
) -> None:
    async with client(tmp_path, FullPlugin()) as (_, stub):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.Allocate(asked(ids))

        assert raised.value.code() is code
        assert details in (raised.value.details() or "")


async def test_a_plugins_mistake_fails_one_call_and_nothing_else(tmp_path: Path) -> None:
    plugin = FullPlugin(error=RuntimeError("no firmware"))
    async with client(tmp_path, plugin) as (_, stub):
        for call in (stub.Allocate(asked(["m1"])), stub.PreStartContainer(pb.PreStartContainerRequest())):
            with pytest.raises(grpc.aio.AioRpcError, match="no firmware") as raised:
                await call
            assert raised.value.code() is grpc.StatusCode.INTERNAL
        plugin.error = None
        assert (await stub.Allocate(asked(["m1"]))).container_responses


async def test_prestart_reaches_the_plugin(tmp_path: Path) -> None:
    plugin = FullPlugin()
    async with client(tmp_path, plugin) as (_, stub):
        await stub.PreStartContainer(pb.PreStartContainerRequest(devices_ids=["m1", "m2"]))
        assert plugin.started == [["m1", "m2"]]


async def test_a_preference_is_the_plugins_choice(tmp_path: Path) -> None:
    async with client(tmp_path, FullPlugin()) as (_, stub):
        (answer,) = (await stub.GetPreferredAllocation(preferring(["m2", "m1", "m2"], 1))).container_responses
        assert list(answer.deviceIDs) == ["m1"]


@pytest.mark.parametrize(
    ("available", "size", "must_include"),
    [
        (["a"], 0, []),
        (["a"], -3, []),
        (["a"], 2, []),
        (["a", "a"], 2, []),
        (["a"], 1, ["b"]),
        (["a", "b"], 1, ["a", "b"]),
    ],
)
async def test_an_impossible_preference_is_an_empty_answer(
    tmp_path: Path, available: list[str], size: int, must_include: list[str]
) -> None:
    async with client(tmp_path, FullPlugin()) as (_, stub):
        request = preferring(available, size, must_include)
        (answer,) = (await stub.GetPreferredAllocation(request)).container_responses
        assert list(answer.deviceIDs) == []


@pytest.mark.parametrize("chosen", [[], ["m1", "m1"], ["m1", "m9"], ["m1", "m2", "sick"]])
async def test_a_choice_that_is_none_is_not_passed_on(tmp_path: Path, chosen: list[str]) -> None:
    async with client(tmp_path, FullPlugin(chosen=chosen)) as (_, stub):
        request = preferring(["m1", "m2", "sick"], 2)
        (answer,) = (await stub.GetPreferredAllocation(request)).container_responses
        assert list(answer.deviceIDs) == []


async def test_a_failing_preference_is_an_empty_answer_and_no_error(tmp_path: Path) -> None:
    async with client(tmp_path, FullPlugin(error=ZeroDivisionError())) as (_, stub):
        (answer,) = (await stub.GetPreferredAllocation(preferring(["m1"], 1))).container_responses
        assert list(answer.deviceIDs) == []


async def test_cdi_files_are_there_with_the_first_list_and_again_when_they_are_needed(tmp_path: Path) -> None:
    file = tmp_path / "cdi" / file_name(KIND, "unit0")
    async with client(tmp_path, FullPlugin()) as (_, stub):
        text = file.read_text()
        file.unlink()
        await stub.Allocate(asked(["m1"]))
        assert file.read_text() == text


async def test_an_allocation_without_its_cdi_file_fails_and_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "cdi" / file_name(KIND, "unit0")
    async with client(tmp_path, FullPlugin()) as (_, stub):
        file.unlink()
        file.mkdir()
        with pytest.raises(grpc.aio.AioRpcError, match=file.name) as raised:
            await stub.Allocate(asked(["m1"]))
        assert raised.value.code() is grpc.StatusCode.INTERNAL
        assert (await stub.Allocate(asked(["m2"]))).container_responses


async def test_a_device_that_is_told_of_by_its_nodes_needs_no_cdi_file(tmp_path: Path) -> None:
    file = tmp_path / "cdi" / file_name(KIND, "unit0")
    async with client(tmp_path, FullPlugin(), device_list="nodes") as (_, stub):
        file.unlink()
        file.mkdir()
        (response,) = (await stub.Allocate(asked(["m1"]))).container_responses
        assert [device.container_path for device in response.devices] == ["/dev/x0"]
        assert not response.cdi_devices


async def test_the_cdi_file_of_a_device_that_is_gone_goes_too(tmp_path: Path) -> None:
    plugin = FullPlugin()
    async with running(tmp_path, plugin, lost_device_retention=0.0) as running_node:
        await running_node.kubelet.wait_for_list(RESOURCE)
        assert (tmp_path / "cdi" / file_name(KIND, "unit0")).exists()
        plugin.devices = {"unit": [M2]}
        running_node.uevent()
        await running_node.kubelet.wait_for_list(RESOURCE, lambda listed: listed.capacity == 1)
        assert not (tmp_path / "cdi" / file_name(KIND, "unit0")).exists()


def with_cdi(id_: str) -> Device:
    return Device(id=id_, nodes=(node(f"/dev/{id_}"),), cdi=CdiDevice(kind=KIND, name=id_))


async def test_at_the_end_the_cdi_files_go_of_devices_that_nobody_holds(tmp_path: Path) -> None:
    plugin = FullPlugin(devices={"unit": [with_cdi("held"), with_cdi("free")]})
    async with SimulatedKubelet(tmp_path, version="1.37") as kubelet:
        async with running(tmp_path, plugin, kubelet=kubelet):
            await kubelet.wait_for_list(RESOURCE)
            pod = await kubelet.admit("train", {RESOURCE: 1})
        (name,) = pod.given.cdi_names
        left = [path.name for path in (tmp_path / "cdi").iterdir()]
        assert left == [file_name(KIND, name.partition("=")[2])]


async def test_without_a_kubelet_that_says_who_holds_what_the_cdi_files_stay(tmp_path: Path) -> None:
    plugin = FullPlugin(devices={"unit": [with_cdi("one"), with_cdi("two")]})
    async with running(tmp_path, plugin) as running_node:
        await running_node.kubelet.wait_for_list(RESOURCE)
        await running_node.kubelet.stop()
    assert len(list((tmp_path / "cdi").iterdir())) == 2


async def test_a_pod_gets_what_the_plugin_gives(tmp_path: Path) -> None:
    plugin = FullPlugin(devices={"unit": [M1, M2, unit("free")]})
    async with running(tmp_path, plugin) as running_node:
        await running_node.kubelet.wait_for_list(RESOURCE)
        pod = await running_node.kubelet.admit("train", {RESOURCE: 2})

        assert sorted(pod.given.envs["IDS"].split(",")) == ["free", "m1"]
        assert pod.given.cdi_names == (f"{KIND}=unit0",)
        assert len(plugin.started) == 1


async def test_many_calls_at_once_are_all_answered(tmp_path: Path) -> None:
    async with client(tmp_path, FullPlugin()) as (_, stub):
        answers = await asyncio.gather(*(stub.Allocate(asked(["m1", "m2"])) for _ in range(100)))
        assert all(len(answer.container_responses) == 1 for answer in answers)
