import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from simulator.foreign_plugin import RESOURCE, ForeignPlugin, devices
from simulator.kubelet.conftest import PluginMaker
from xpu_simulator.kubelet.cdi import cdi_names
from xpu_simulator.kubelet.events import (
    ContainerStarted,
    ContainerStartFailed,
    Event,
    KubeletStarted,
    KubeletStopped,
    NodeRebooted,
    PodAdmitted,
    PodRejected,
)
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_wire import deviceplugin_v1beta1_pb2 as pb

OTHER = "example.com/other"


@pytest.fixture
async def ready(kubelet: SimulatedKubelet, plugin: ForeignPlugin) -> ForeignPlugin:
    plugin.answers = {"a": pb.ContainerAllocateResponse(envs={"ID": "old"})}
    await plugin.start("a")
    await kubelet.wait_for_list(RESOURCE)
    await kubelet.admit("pod", {RESOURCE: 1})
    return plugin


async def test_a_pod_gets_what_it_had_by_the_old_answer_and_allocate_is_not_called(
    kubelet: SimulatedKubelet, ready: ForeignPlugin, seen: list[Event]
) -> None:
    async def back() -> None:
        assert not kubelet.pods["pod"].running
        await ready.stop()
        ready.requests.clear()
        ready.answers.clear()
        await ready.start("a", "b")
        await kubelet.wait_for_list(RESOURCE)

    await kubelet.reboot(before_pods=back)

    pod = kubelet.pods["pod"]
    assert (pod.running, pod.devices, pod.given.envs) == (True, {RESOURCE: ("a",)}, {"ID": "old"})
    assert not ready.requests
    told = [e for e in seen if isinstance(e, KubeletStopped | NodeRebooted | KubeletStarted | PodAdmitted)]
    assert [type(event) for event in told] == [KubeletStopped, NodeRebooted, KubeletStarted, PodAdmitted]
    assert [event.again for event in told if isinstance(event, PodAdmitted)] == [True]
    assert (await kubelet.admit("other", {RESOURCE: 1})).devices == {RESOURCE: ("b",)}


def unhealthy(plugin: ForeignPlugin) -> list[pb.Device]:
    return devices("a", health="Unhealthy") + devices("b")


def gone(plugin: ForeignPlugin) -> list[pb.Device]:
    return devices("b", "c")


@pytest.mark.parametrize("now", [unhealthy, gone])
async def test_a_pod_whose_device_is_not_healthy_again_is_rejected_for_good(
    kubelet: SimulatedKubelet,
    ready: ForeignPlugin,
    seen: list[Event],
    now: Callable[[ForeignPlugin], list[pb.Device]],
) -> None:
    async def back() -> None:
        await ready.stop()
        ready.devices = now(ready)
        await ready.serve()
        await ready.register()
        await kubelet.wait_for_list(RESOURCE)

    await kubelet.reboot(before_pods=back)

    assert not kubelet.pods
    (rejected,) = (event for event in seen if isinstance(event, PodRejected))
    assert rejected.reason == "UnexpectedAdmissionError"
    assert "previously allocated devices are no longer healthy" in rejected.message
    assert (await kubelet.admit("other", {RESOURCE: 1})).devices[RESOURCE] != ("a",)


async def test_a_pod_that_is_admitted_before_its_plugin_registers_is_rejected(
    kubelet: SimulatedKubelet, ready: ForeignPlugin, seen: list[Event]
) -> None:
    await kubelet.reboot()

    (rejected,) = (event for event in seen if isinstance(event, PodRejected))
    assert f"no healthy devices present; cannot allocate unhealthy devices {RESOURCE}" in rejected.message


async def test_a_pod_without_devices_and_a_stopped_kubelet_come_back_too(kubelet: SimulatedKubelet) -> None:
    await kubelet.admit("pod", {})
    await kubelet.stop()

    await kubelet.reboot()

    assert kubelet.pods["pod"].running


async def test_without_its_checkpoint_a_kubelet_allocates_anew(kubelet: SimulatedKubelet, ready: ForeignPlugin) -> None:
    async def back() -> None:
        await ready.stop()
        ready.answers = {"z": pb.ContainerAllocateResponse(envs={"ID": "new"})}
        await ready.start("z")
        await kubelet.wait_for_list(RESOURCE)

    await kubelet.reboot(wipe=[kubelet.device_plugins / "kubelet_internal_checkpoint"], before_pods=back)

    pod = kubelet.pods["pod"]
    assert (pod.devices, pod.given.envs) == ({RESOURCE: ("z",)}, {"ID": "new"})


async def test_a_pod_deleted_while_the_node_comes_up_is_not_admitted(
    kubelet: SimulatedKubelet, ready: ForeignPlugin, seen: list[Event]
) -> None:
    async def delete() -> None:
        kubelet.delete("pod")

    await kubelet.reboot(before_pods=delete)

    assert not kubelet.pods
    assert not any(isinstance(event, PodAdmitted | PodRejected) for event in seen)


class CdiNode:
    def __init__(self, kubelet: SimulatedKubelet, plugin: ForeignPlugin, directory: Path) -> None:
        self.kubelet = kubelet
        self.plugin = plugin
        self.directory = directory

    def write_spec(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        spec = {"cdiVersion": "0.6.0", "kind": "example.com/card", "devices": [{"name": "a"}]}
        (self.directory / "example.json").write_text(json.dumps(spec))

    async def plugin_comes_back(self) -> None:
        await self.plugin.stop()
        await self.plugin.start("a")
        await self.kubelet.wait_for_list(RESOURCE)


@pytest.fixture
async def cdi(tmp_path: Path, new_plugin: PluginMaker) -> AsyncGenerator[CdiNode]:
    directory = tmp_path / "cdi"
    async with SimulatedKubelet(tmp_path, cdi_device_exists=lambda name: name in cdi_names(directory)) as kubelet:
        plugin = new_plugin()
        name = pb.CDIDevice(name="example.com/card=a")
        plugin.answers = {"a": pb.ContainerAllocateResponse(cdi_devices=[name])}
        node = CdiNode(kubelet, plugin, directory)
        node.write_spec()
        await node.plugin_comes_back()
        assert (await kubelet.admit("pod", {RESOURCE: 1})).running
        yield node


async def test_cdi_files_that_did_not_come_back_keep_the_container_from_starting(cdi: CdiNode) -> None:
    seen: list[Event] = []
    cdi.kubelet.events.subscribe(seen.append)

    await cdi.kubelet.reboot(wipe=[cdi.directory], before_pods=cdi.plugin_comes_back)

    pod = cdi.kubelet.pods["pod"]
    message = "CDI device injection failed: unresolvable CDI devices example.com/card=a"
    assert (pod.running, pod.message) == (False, message)
    assert [event.message for event in seen if isinstance(event, ContainerStartFailed)] == [message]
    cdi.write_spec()
    assert (await cdi.kubelet.start_container("pod")).running
    assert [event.pod for event in seen if isinstance(event, ContainerStarted)] == ["pod"]


async def test_cdi_files_written_again_let_it_start(cdi: CdiNode) -> None:
    async def back() -> None:
        assert not cdi.directory.exists()
        await cdi.plugin_comes_back()
        cdi.write_spec()

    await cdi.kubelet.reboot(wipe=[cdi.directory, cdi.directory / "never there"], before_pods=back)

    assert cdi.kubelet.pods["pod"].running


def test_cdi_files_that_cannot_be_used_declare_nothing(tmp_path: Path) -> None:
    assert cdi_names(tmp_path / "missing") == frozenset()
    (tmp_path / "a.json").write_text('{"kind": "v/a", "devices": [{"name": "1"}, {"name": "2"}]}')
    (tmp_path / "b.yaml").write_text("kind: v/b\ndevices:\n- name: x\n")
    (tmp_path / "c.txt").write_text('{"kind": "v/c", "devices": [{"name": "1"}]}')
    for number, text in enumerate(
        ["", "{", "[]", "7", '{"kind": "v/d"}', '{"kind": "v/e", "devices": [1]}', "[" * 9999]
    ):
        (tmp_path / f"bad{number}.json").write_text(text)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe")
    (tmp_path / "directory.json").mkdir()

    assert cdi_names(tmp_path) == {"v/a=1", "v/a=2", "v/b=x"}
