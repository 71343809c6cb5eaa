from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from simulator.foreign_plugin import RESOURCE, ForeignPlugin
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_wire import deviceplugin_v1beta1_pb2 as pb


class TimedPlugin(ForeignPlugin):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.options = pb.DevicePluginOptions(pre_start_required=True)
        self.deadlines: list[float | None] = []  # seconds left when PreStartContainer was called

    async def PreStartContainer(
        self, request: pb.PreStartContainerRequest, context: Any
    ) -> pb.PreStartContainerResponse:
        self.deadlines.append(context.time_remaining())
        return await super().PreStartContainer(request, context)


@pytest.fixture
async def plugin(kubelet: SimulatedKubelet) -> AsyncGenerator[TimedPlugin]:
    plugin = TimedPlugin(kubelet.device_plugins)
    await plugin.start("a", "b")
    await kubelet.wait_for_list(RESOURCE)
    yield plugin
    await plugin.stop()


async def test_the_plugin_has_30_seconds(kubelet: SimulatedKubelet, plugin: TimedPlugin) -> None:
    await kubelet.admit("pod", {RESOURCE: 1})
    (deadline,) = plugin.deadlines
    assert deadline is not None
    assert 20 < deadline < 31  # gRPC rounds it up on its way


async def test_it_is_called_before_every_start_also_after_a_restart_and_a_reboot(
    kubelet: SimulatedKubelet, plugin: TimedPlugin
) -> None:
    pod = await kubelet.admit("pod", {RESOURCE: 2})
    await kubelet.start_container("pod")

    async def back() -> None:
        await plugin.stop()
        await plugin.start("a", "b")
        await kubelet.wait_for_list(RESOURCE)

    await kubelet.restart()
    await back()
    await kubelet.start_container("pod")
    await kubelet.reboot(before_pods=back)

    starts = [request for request in plugin.requests if isinstance(request, pb.PreStartContainerRequest)]
    assert [sorted(start.devices_ids) for start in starts] == [["a", "b"]] * 4
    assert pod.devices == {RESOURCE: ("a", "b")}


async def test_without_its_plugin_a_container_that_needs_it_does_not_start_again(
    kubelet: SimulatedKubelet, plugin: TimedPlugin
) -> None:
    await kubelet.admit("pod", {RESOURCE: 1})
    await plugin.stop()
    await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 0)

    pod = await kubelet.start_container("pod")

    assert (pod.running, pod.message) == (False, f"endpoint of {RESOURCE} has been stopped")


async def test_a_restarted_kubelet_does_not_know_that_it_is_needed_until_the_plugin_is_back(
    kubelet: SimulatedKubelet, plugin: TimedPlugin
) -> None:
    await kubelet.admit("pod", {RESOURCE: 1})
    await kubelet.restart()

    assert (await kubelet.start_container("pod")).running
    assert len(plugin.deadlines) == 1
