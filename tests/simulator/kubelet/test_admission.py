from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.foreign_plugin import RESOURCE, ForeignPlugin, devices
from simulator.kubelet.conftest import PluginMaker
from xpu_shared.device import DeviceNode, Mount
from xpu_simulator.errors import ImpossibleError
from xpu_simulator.kubelet.events import ContainerStartFailed, Event, PodAdmitted, PodDeleted, PodRejected
from xpu_simulator.kubelet.pods import AdmissionError
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_wire import deviceplugin_v1beta1_pb2 as pb

OTHER = "example.com/other"


@pytest.fixture
async def ready(kubelet: SimulatedKubelet, plugin: ForeignPlugin) -> ForeignPlugin:
    plugin.options = pb.DevicePluginOptions(get_preferred_allocation_available=True)
    await plugin.start("a", "b", "c", "d")
    await kubelet.wait_for_list(RESOURCE)
    return plugin


async def test_a_pod_gets_what_the_plugin_prefers(kubelet: SimulatedKubelet, ready: ForeignPlugin) -> None:
    ready.preferred = ["b", "d"]

    pod = await kubelet.admit("pod", {RESOURCE: 2})

    assert pod.devices == {RESOURCE: ("b", "d")}
    assert pod.running


async def test_the_plugin_is_asked_with_everything_available_and_the_size(
    kubelet: SimulatedKubelet, ready: ForeignPlugin
) -> None:
    ready.preferred = ["a"]
    await kubelet.admit("first", {RESOURCE: 1})
    ready.requests.clear()

    await kubelet.admit("second", {RESOURCE: 2})

    preference, allocation = ready.requests
    assert [set(c.available_deviceIDs) for c in preference.container_requests] == [{"b", "c", "d"}]
    assert [list(c.must_include_deviceIDs) for c in preference.container_requests] == [[]]
    assert [c.allocation_size for c in preference.container_requests] == [2]
    assert [len(c.devices_ids) for c in allocation.container_requests] == [2]


async def test_a_preference_for_what_may_not_be_had_is_cut_and_the_rest_filled(
    kubelet: SimulatedKubelet, ready: ForeignPlugin
) -> None:
    ready.preferred = ["a", "nonsense"]
    pod = await kubelet.admit("pod", {RESOURCE: 3})

    assert "a" in pod.devices[RESOURCE]
    assert len(set(pod.devices[RESOURCE])) == 3
    assert set(pod.devices[RESOURCE]) <= {"a", "b", "c", "d"}


async def test_a_preference_for_too_many_is_cut_to_the_size(kubelet: SimulatedKubelet, ready: ForeignPlugin) -> None:
    ready.preferred = ["a", "b", "c", "d"]
    pod = await kubelet.admit("pod", {RESOURCE: 2})
    assert len(pod.devices[RESOURCE]) == 2


async def test_an_answer_without_a_preference_is_no_error(kubelet: SimulatedKubelet, ready: ForeignPlugin) -> None:
    pod = await kubelet.admit("pod", {RESOURCE: 4})
    assert pod.devices == {RESOURCE: ("a", "b", "c", "d")}


async def test_a_plugin_without_the_option_is_not_asked(kubelet: SimulatedKubelet, plugin: ForeignPlugin) -> None:
    await plugin.start("a")
    await kubelet.wait_for_list(RESOURCE)

    await kubelet.admit("pod", {RESOURCE: 1})

    assert [type(request) for request in plugin.requests] == [pb.AllocateRequest]


async def test_no_id_is_given_to_two_pods(kubelet: SimulatedKubelet, ready: ForeignPlugin) -> None:
    ready.preferred = ["a", "b"]
    first = await kubelet.admit("first", {RESOURCE: 2})
    second = await kubelet.admit("second", {RESOURCE: 2})

    assert not set(first.devices[RESOURCE]) & set(second.devices[RESOURCE])
    with pytest.raises(AdmissionError, match="Requested: 1, Available: 0"):
        await kubelet.admit("third", {RESOURCE: 1})


async def test_the_devices_of_a_deleted_pod_are_free(kubelet: SimulatedKubelet, ready: ForeignPlugin) -> None:
    await kubelet.admit("first", {RESOURCE: 4})
    kubelet.delete("first")
    await kubelet.admit("second", {RESOURCE: 4})
    assert list(kubelet.pods) == ["second"]


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda plugin: plugin.failing.add("Allocate"), "code = FailedPrecondition desc = told to fail Allocate"),
        (lambda plugin: plugin.failing.add("GetPreferredAllocation"), "told to fail GetPreferredAllocation"),
        (lambda plugin: setattr(plugin, "empty_answers", True), "no containers return in allocation response"),
    ],
)
async def test_any_failure_of_the_plugin_rejects_the_pod_and_leaves_the_devices_free(
    kubelet: SimulatedKubelet, ready: ForeignPlugin, break_it: Callable[[ForeignPlugin], object], message: str
) -> None:
    break_it(ready)

    with pytest.raises(AdmissionError, match=message) as failure:
        await kubelet.admit("pod", {RESOURCE: 4})

    assert failure.value.reason == "UnexpectedAdmissionError"
    assert not kubelet.pods
    ready.failing.clear()
    ready.empty_answers = False
    await kubelet.admit("pod", {RESOURCE: 4})


async def test_a_resource_nobody_registered_cannot_be_had(kubelet: SimulatedKubelet) -> None:
    with pytest.raises(AdmissionError, match=f"cannot allocate unregistered device {RESOURCE}"):
        await kubelet.admit("pod", {RESOURCE: 1})


async def test_unhealthy_devices_are_not_given_out(kubelet: SimulatedKubelet, ready: ForeignPlugin) -> None:
    await ready.send(devices("a") + devices("b", "c", "d", health="Unhealthy"))
    await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 1)

    with pytest.raises(AdmissionError, match="Requested: 2, Available: 1"):
        await kubelet.admit("pod", {RESOURCE: 2})
    assert (await kubelet.admit("other", {RESOURCE: 1})).devices == {RESOURCE: ("a",)}


async def test_a_device_that_turns_unhealthy_stays_with_its_pod(
    kubelet: SimulatedKubelet, ready: ForeignPlugin
) -> None:
    pod = await kubelet.admit("pod", {RESOURCE: 4})
    await ready.send(devices("a", "b", "c", "d", health="Unhealthy"))
    await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 0)

    assert pod.running
    with pytest.raises(AdmissionError, match="no healthy devices present"):
        await kubelet.admit("other", {RESOURCE: 1})


async def test_a_pod_that_asks_while_the_plugin_is_away_is_rejected(
    kubelet: SimulatedKubelet, ready: ForeignPlugin
) -> None:
    await ready.stop()
    await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 0)
    with pytest.raises(AdmissionError, match="UnexpectedAdmissionError"):
        await kubelet.admit("pod", {RESOURCE: 1})


async def test_of_two_resources_with_the_same_key_the_first_wins(
    kubelet: SimulatedKubelet, ready: ForeignPlugin, new_plugin: PluginMaker
) -> None:
    other = new_plugin("other.sock", OTHER)
    await other.start("x")
    await kubelet.wait_for_list(OTHER)
    for plugin, id_ in ((ready, "a"), (other, "x")):
        plugin.preferred = [id_]
        plugin.answers[id_] = pb.ContainerAllocateResponse(
            envs={"ID": id_, f"ONLY_{id_}": "1"},
            annotations={"id": id_},
            devices=[pb.DeviceSpec(container_path="/dev/x", host_path=f"/host/{id_}", permissions="rw")],
            mounts=[pb.Mount(container_path="/mnt", host_path=f"/host/{id_}", read_only=True)],
            cdi_devices=[pb.CDIDevice(name="v/c=shared"), pb.CDIDevice(name=f"v/c={id_}")],
        )

    given = (await kubelet.admit("pod", {RESOURCE: 1, OTHER: 1})).given

    assert given.envs == {"ID": "a", "ONLY_a": "1", "ONLY_x": "1"}
    assert given.annotations == {"id": "a"}
    assert given.nodes == (DeviceNode(host_path="/host/a", container_path="/dev/x"),)
    assert given.mounts == (Mount(host_path="/host/a", container_path="/mnt"),)
    assert given.cdi_names == ("v/c=shared", "v/c=a", "v/c=x")


async def test_the_container_waits_for_pre_start_and_may_be_started_again(
    kubelet: SimulatedKubelet, plugin: ForeignPlugin
) -> None:
    plugin.options = pb.DevicePluginOptions(pre_start_required=True)
    plugin.failing = {"PreStartContainer"}
    await plugin.start("a")
    await kubelet.wait_for_list(RESOURCE)

    pod = await kubelet.admit("pod", {RESOURCE: 1})
    assert not pod.running
    assert "told to fail PreStartContainer" in pod.message

    plugin.failing.clear()
    assert (await kubelet.start_container("pod")).running
    assert [list(request.devices_ids) for request in plugin.requests[1:]] == [["a"], ["a"]]


async def test_pods_and_their_devices_survive_a_restart_of_the_kubelet(
    kubelet: SimulatedKubelet, ready: ForeignPlugin
) -> None:
    ready.preferred = ["a"]
    await kubelet.admit("pod", {RESOURCE: 1})

    await kubelet.restart()
    await ready.stop()
    await ready.start("a", "b")
    await kubelet.wait_for_list(RESOURCE)

    assert (await kubelet.admit("other", {RESOURCE: 1})).devices == {RESOURCE: ("b",)}


async def test_the_name_of_a_running_pod_cannot_be_used_again(kubelet: SimulatedKubelet, ready: ForeignPlugin) -> None:
    await kubelet.admit("pod", {RESOURCE: 1})
    with pytest.raises(ImpossibleError, match="there is a pod 'pod' already"):
        await kubelet.admit("pod", {RESOURCE: 1})


async def test_a_pod_that_is_not_there_cannot_be_deleted_or_started(kubelet: SimulatedKubelet) -> None:
    with pytest.raises(ImpossibleError, match="there is no pod 'pod'"):
        kubelet.delete("pod")
    with pytest.raises(ImpossibleError, match="there is no pod 'pod'"):
        await kubelet.start_container("pod")


async def test_what_happens_to_pods_is_told_to_subscribers(kubelet: SimulatedKubelet, ready: ForeignPlugin) -> None:
    seen: list[Event] = []
    unsubscribe = kubelet.events.subscribe(seen.append)
    await kubelet.admit("pod", {RESOURCE: 4})
    with pytest.raises(AdmissionError):
        await kubelet.admit("late", {RESOURCE: 1})
    kubelet.delete("pod")
    unsubscribe()
    await kubelet.admit("unseen", {RESOURCE: 1})

    kinds = [type(event) for event in seen if isinstance(event, PodAdmitted | PodRejected | PodDeleted)]
    assert kinds == [PodAdmitted, PodRejected, PodDeleted]
    assert not any(isinstance(event, ContainerStartFailed) for event in seen)


async def test_the_same_seed_hands_out_the_same_ids(tmp_path: Path) -> None:
    given = []
    for run in ("1", "2"):
        async with SimulatedKubelet(tmp_path / run, seed=7) as kubelet:
            plugin = ForeignPlugin(kubelet.device_plugins)
            await plugin.start(*"abcdefgh")
            await kubelet.wait_for_list(RESOURCE)
            given.append((await kubelet.admit("pod", {RESOURCE: 3})).devices[RESOURCE])
            await plugin.stop()
    assert given[0] == given[1]
