"""Containers that do not start are started again."""

import io
from itertools import pairwise

import pytest

from simulator.foreign_plugin import RESOURCE, ForeignPlugin
from xpu_simulator.kubelet.events import ContainerStartFailed, Event
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.lines import Lines
from xpu_simulator.report import Report
from xpu_simulator.restarts import Restarts
from xpu_wire import deviceplugin_v1beta1_pb2 as pb

FIRST_WAIT = 0.02


@pytest.fixture
def out(kubelet: SimulatedKubelet) -> io.StringIO:
    """What is reported."""
    out = io.StringIO()
    Restarts(kubelet, Report(Lines(out, colour=False)), first_wait=FIRST_WAIT)
    return out


@pytest.fixture
async def failing(kubelet: SimulatedKubelet, plugin: ForeignPlugin) -> ForeignPlugin:
    plugin.options = pb.DevicePluginOptions(pre_start_required=True)
    plugin.failing = {"PreStartContainer"}
    await plugin.start("a")
    await kubelet.wait_for_list(RESOURCE)
    return plugin


def failures(seen: list[Event]) -> list[float]:
    """When they were."""
    return [event.at for event in seen if isinstance(event, ContainerStartFailed)]


async def test_after_a_while_that_doubles_each_time(
    kubelet: SimulatedKubelet, failing: ForeignPlugin, out: io.StringIO, seen: list[Event]
) -> None:
    assert not (await kubelet.admit("pod", {RESOURCE: 1})).running
    await kubelet.wait_until(lambda: len(failures(seen)) == 4)
    waits = [later - earlier for earlier, later in pairwise(failures(seen))]
    assert all(wait >= FIRST_WAIT * 2**number for number, wait in enumerate(waits))

    failing.failing.clear()
    await kubelet.wait_until(lambda: kubelet.pods["pod"].running)
    assert kubelet.pods["pod"].message == ""
    await kubelet.admit("other", {})
    assert out.getvalue().count("pod runs now") == 1


async def test_also_when_the_kubelet_has_been_away(
    kubelet: SimulatedKubelet, failing: ForeignPlugin, out: io.StringIO
) -> None:
    await kubelet.admit("pod", {RESOURCE: 1})
    await kubelet.stop()
    await kubelet.start()
    await failing.stop()
    failing.failing.clear()
    await failing.start("a")
    await kubelet.wait_until(lambda: kubelet.pods["pod"].running)


async def test_not_when_the_pod_is_deleted(
    kubelet: SimulatedKubelet, failing: ForeignPlugin, out: io.StringIO, seen: list[Event]
) -> None:
    await kubelet.admit("pod", {RESOURCE: 1})
    kubelet.delete("pod")
    await kubelet.admit("other", {RESOURCE: 1})
    count = len(failures(seen))
    await kubelet.wait_until(lambda: len(failures(seen)) == count + 2)
    assert {event.pod for event in seen[-4:] if isinstance(event, ContainerStartFailed)} == {"other"}
