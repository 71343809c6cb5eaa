import re
import socket

import pytest

from simulator.foreign_plugin import RESOURCE
from simulator.kubelet.registry_plugin import RegistryPlugin
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_wire import pluginregistration_v1_pb2 as pb


@pytest.mark.parametrize(
    ("info", "error"),
    [
        (
            pb.PluginInfo(type="CSIPlugin", name=RESOURCE, supported_versions=["v1beta1"]),
            r"no handler registered for plugin type: CSIPlugin at socket .*card\.sock",
        ),
        (
            pb.PluginInfo(type="DevicePlugin", name=RESOURCE, supported_versions=["v1", "v2"]),
            r"validation failed with err: manager version, v1beta1, is not among plugin supported versions \[v1 v2\]",
        ),
        (
            pb.PluginInfo(type="DevicePlugin", name="card", supported_versions=["v1beta1"]),
            'validation failed with err: the ResourceName "card" is invalid: it has no slash',
        ),
        (
            pb.PluginInfo(
                type="DevicePlugin", name=RESOURCE, supported_versions=["v1beta1"], endpoint="/nowhere/card.sock"
            ),
            "registration failed with err: failed to dial device plugin",
        ),
    ],
)
async def test_a_plugin_that_cannot_be_used_is_told_why_and_tried_again(
    kubelet: SimulatedKubelet, registry_plugin: RegistryPlugin, info: pb.PluginInfo, error: str
) -> None:
    good, registry_plugin.info = registry_plugin.info, info
    await registry_plugin.appear("a")

    registered, reason = await registry_plugin.until_told()

    assert not registered
    assert RESOURCE not in kubelet.resources
    registry_plugin.info = good
    assert await registry_plugin.until_told() == (True, "")
    assert kubelet.registrations[0].error == reason
    assert re.search(error, reason)


@pytest.mark.parametrize("method", ["GetInfo", "NotifyRegistrationStatus", "GetDevicePluginOptions"])
async def test_a_failing_call_is_tried_again(
    kubelet: SimulatedKubelet, registry_plugin: RegistryPlugin, method: str
) -> None:
    registry_plugin.failing = {method}
    await registry_plugin.appear("a")
    await kubelet.wait_until(lambda: bool(kubelet.registrations))
    assert f"told to fail {method}" in kubelet.registrations[0].error
    assert kubelet.resources[RESOURCE].allocatable == 0

    registry_plugin.failing.clear()

    await kubelet.wait_until(lambda: kubelet.registrations[-1].error == "")
    await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 1)


async def test_a_plugin_has_a_second_to_say_what_it_is(
    kubelet: SimulatedKubelet, registry_plugin: RegistryPlugin
) -> None:
    registry_plugin.hanging = {"GetInfo"}
    await registry_plugin.appear("a")

    await kubelet.wait_until(lambda: bool(kubelet.registrations))

    (failed,) = kubelet.registrations
    assert "failed to get plugin info" in failed.error
    assert "DeadlineExceeded" in failed.error
    (asked,) = (call for call in kubelet.calls if call.method == "GetInfo")
    assert 0.9 < failed.at - asked.at < 3


async def test_a_socket_nobody_listens_on_is_dialled_in_vain(kubelet: SimulatedKubelet) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(kubelet.plugins_registry / "dead.sock"))

    await kubelet.wait_until(lambda: bool(kubelet.registrations))

    assert "dial failed" in kubelet.registrations[0].error
    assert (kubelet.registrations[0].resource, kubelet.registrations[0].endpoint) == ("", "dead.sock")


async def test_a_socket_that_goes_while_it_is_tried_is_forgotten(
    kubelet: SimulatedKubelet, registry_plugin: RegistryPlugin
) -> None:
    registry_plugin.hanging = {"NotifyRegistrationStatus"}
    await registry_plugin.appear("a")
    await registry_plugin.until_told()

    registry_plugin.path.unlink()

    await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 0)
    assert not kubelet.registrations


async def test_a_stopping_kubelet_ends_what_it_tries(
    kubelet: SimulatedKubelet, registry_plugin: RegistryPlugin
) -> None:
    registry_plugin.hanging = {"GetInfo"}
    await registry_plugin.appear("a")
    await kubelet.wait_until(lambda: bool(kubelet.calls))

    await kubelet.stop()

    assert not kubelet.registrations
