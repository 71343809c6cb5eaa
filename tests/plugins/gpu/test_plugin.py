"""The plugin as the framework and a kubelet see it."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from framework import running
from handmade_gpus import HandmadeGpus
from xpu_plugins.gpu.plugin import GpuPlugin
from xpu_plugins.gpu.settings import GpuSettings
from xpu_shared.device import ScanResult
from xpu_shared.plugin import OwnsCdiKinds, PrefersDevices, WatchesDirectories
from xpu_simulator.kubelet.resources import Resource
from xpu_simulator.node import Gpu
from xpu_simulator.tree import SimulatedTree

I915 = "gpu.intel.com/i915"


@pytest.fixture
def tree(tmp_path: Path) -> SimulatedTree:
    tree = SimulatedTree(tmp_path / "tree")
    for card in range(2):
        tree.add_gpu(Gpu(card=card))
    return tree


def settings(tree: SimulatedTree, **choices: object) -> GpuSettings:
    roots = {"sysfs_root": tree.sysfs, "dev_root": tree.dev}
    return GpuSettings(**{**roots, **choices})  # type: ignore[arg-type]  # tests name any of its fields


def test_it_has_the_features_of_its_protocols(gpus: HandmadeGpus) -> None:
    plugin = GpuPlugin(gpus.settings())

    assert isinstance(plugin, WatchesDirectories)
    assert isinstance(plugin, OwnsCdiKinds)
    assert isinstance(plugin, PrefersDevices)
    assert list(plugin.watched_directories) == [gpus.dev / "dri", gpus.dev / "dri/by-path"]


@pytest.mark.parametrize(
    ("policy", "chosen"),
    [("none", ("card0-0", "card1-0")), ("balanced", ("card1-0", "card1-1")), ("packed", ("card0-0", "card1-0"))],
)
def test_the_policy_is_the_administrators(gpus: HandmadeGpus, policy: str, chosen: tuple[str, ...]) -> None:
    plugin = GpuPlugin(gpus.settings(allocation_policy=policy))

    assert plugin.prefer("i915", ["card1-2", "card1-1", "card1-0", "card0-0"], [], 2) == chosen
    assert plugin.prefer("monitoring", ["all"], [], 1) == ("all",)


async def test_a_pod_of_two_gpus_is_given_their_files(tmp_path: Path, tree: SimulatedTree) -> None:
    chosen = settings(tree, shared_dev_num=2, bypath="none")
    async with running(tmp_path, GpuPlugin(chosen)) as node:
        await node.kubelet.wait_for_list(I915, lambda listed: listed.allocatable == 4)

        pod = await node.kubelet.admit("pod", {I915: 2})

        assert sorted(pod.devices[I915]) == ["card0-0", "card1-0"]
        assert sorted((file.host_path, file.container_path) for file in pod.given.nodes) == [
            (f"/dev/dri/{name}", f"/dev/dri/{name}") for name in ("card0", "card1", "renderD128", "renderD129")
        ]
        assert sorted(pod.given.cdi_names) == ["intel.cdi.k8s.io/gpu=card0", "intel.cdi.k8s.io/gpu=card1"]


async def test_a_card_that_goes_stays_listed_as_unhealthy_and_comes_back(tmp_path: Path, tree: SimulatedTree) -> None:
    def healthy(count: int) -> Callable[[Resource], bool]:
        return lambda listed: (listed.allocatable, listed.capacity) == (count, 2)

    async with running(tmp_path, GpuPlugin(settings(tree))) as node:
        await node.kubelet.wait_for_list(I915, healthy(2))
        tree.remove_gpu(Gpu(card=1))
        node.uevent("drm")
        await node.kubelet.wait_for_list(I915, healthy(1))
        tree.add_gpu(Gpu(card=1))
        node.uevent("drm")
        await node.kubelet.wait_for_list(I915, healthy(2))


async def test_by_path_links_that_come_late_are_found_without_an_event(tmp_path: Path, tree: SimulatedTree) -> None:
    linked = threading.Event()

    class Watched(GpuPlugin):
        def scan(self) -> ScanResult:
            result = super().scan()
            if all(device.mounts for device in result.devices["i915"]):
                linked.set()
            return result

    late = Gpu(card=2)
    tree.add_gpu(late, by_path=False)
    async with running(tmp_path, Watched(settings(tree))) as node:
        await node.kubelet.wait_for_list(I915, lambda listed: listed.allocatable == 3)
        assert not linked.is_set()

        tree.add_by_path_links(late)
        assert await asyncio.to_thread(linked.wait, 10)


def test_a_card_whose_driver_lets_go_of_it_is_not_taken_for_one_of_another_driver(gpus: HandmadeGpus) -> None:
    """The kernel removes the driver's link before the card: a scan may come in between."""
    device = gpus.card("card0", driver="xe")
    plugin = GpuPlugin(gpus.settings())
    assert list(plugin.scan().devices) == ["xe"]

    (device / "driver").unlink()
    result = plugin.scan()

    assert not result.devices
    assert [problem.text for problem in result.problems if problem.rejected] == ["its driver xe has let go of it"]


def test_a_card_that_never_had_a_driver_link_stays_what_it_was_taken_for(gpus: HandmadeGpus) -> None:
    (gpus.card("card0") / "driver").unlink()
    plugin = GpuPlugin(gpus.settings())

    assert [list(plugin.scan().devices) for _ in range(3)] == [["i915"]] * 3
