from pathlib import Path

import grpc
import pytest

from simulator.foreign_plugin import RESOURCE
from simulator.kubelet.conftest import PluginMaker
from xpu_simulator.kubelet.events import StreamEnded
from xpu_simulator.kubelet.simulated import SimulatedKubelet


async def test_in_1_36_the_end_of_an_old_stream_takes_the_new_registration_with_it(
    tmp_path: Path, new_plugin: PluginMaker
) -> None:
    async with SimulatedKubelet(tmp_path, version="1.36") as kubelet:
        ended: list[StreamEnded] = []
        kubelet.events.subscribe(lambda event: ended.append(event) if isinstance(event, StreamEnded) else None)
        old, new = new_plugin("old.sock"), new_plugin("new.sock")
        await old.start("a")
        await kubelet.wait_for_list(RESOURCE)
        await new.start("a", "b")
        await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 2)

        await old.end_streams()

        await kubelet.wait_until(lambda: len(ended) == 2)
        assert (kubelet.resources[RESOURCE].capacity, kubelet.resources[RESOURCE].allocatable) == (2, 0)
        assert [stream.endpoint for stream in ended] == ["old.sock", "new.sock"]

        await new.register()
        await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 2)


async def test_in_1_36_a_path_may_be_registered_twice(tmp_path: Path, new_plugin: PluginMaker) -> None:
    async with SimulatedKubelet(tmp_path, version="1.36") as kubelet:
        plugin = new_plugin()
        await plugin.start("a")
        await plugin.register()

        await kubelet.wait_for_list(RESOURCE, lambda listed: listed.lists == 2)
        assert [registration.error for registration in kubelet.registrations] == ["", ""]


async def test_in_1_37_two_endpoints_live_side_by_side_and_one_outlives_the_other(
    tmp_path: Path, new_plugin: PluginMaker
) -> None:
    async with SimulatedKubelet(tmp_path, version="1.37") as kubelet:
        ended: list[StreamEnded] = []
        kubelet.events.subscribe(lambda event: ended.append(event) if isinstance(event, StreamEnded) else None)
        old, new = new_plugin("old.sock"), new_plugin("new.sock")
        await old.start("a")
        await new.start("a", "b")
        await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 2)

        await old.stop()

        await kubelet.wait_until(lambda: bool(ended))
        assert kubelet.resources[RESOURCE].allocatable == 2
        await kubelet.admit("pod", {RESOURCE: 2})
        assert len(new.requests) == 1


async def test_in_1_37_a_refused_second_registration_blocks_the_path_until_the_kubelet_restarts(
    tmp_path: Path, new_plugin: PluginMaker
) -> None:
    async with SimulatedKubelet(tmp_path, version="1.37") as kubelet:
        ended: list[StreamEnded] = []
        kubelet.events.subscribe(lambda event: ended.append(event) if isinstance(event, StreamEnded) else None)
        plugin = new_plugin()
        refusal = f"device plugin already connected: {kubelet.device_plugins / 'card.sock'}"
        await plugin.start("a")
        await kubelet.wait_for_list(RESOURCE)

        with pytest.raises(grpc.aio.AioRpcError, match=refusal):
            await plugin.register()
        await plugin.end_streams()
        await kubelet.wait_until(lambda: bool(ended))

        assert kubelet.resources[RESOURCE].allocatable == 1  # stale
        with pytest.raises(grpc.aio.AioRpcError, match=refusal):
            await plugin.register()

        other = new_plugin("card-1.sock")
        await other.start("a", "b")
        await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 2)

        await kubelet.restart()
        await plugin.stop()
        await plugin.start("a")
        await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 1)


@pytest.mark.parametrize("version", ["", "1", "2.0", "1.x", "v1.36", "1.36.1"])
def test_a_version_that_is_none_is_refused(tmp_path: Path, version: str) -> None:
    with pytest.raises(ValueError, match=r"expected one such as 1\.36"):
        SimulatedKubelet(tmp_path, version=version)
