"""The kubelet's first answer about holders may come while the first scan is still at work."""

import asyncio
from pathlib import Path

from framework import QUICK, DemoPlugin
from xpu_shared.family import Family
from xpu_shared.kubelet.holders import Holder
from xpu_shared.kubelet.pod_resources import PodResources
from xpu_shared.program.settings import PluginSettings

HELD_BEFORE = ("demo.intel.com/unit", "unit9")


class AnswersDuringTheScan(PodResources):
    """The kubelet's answer comes as soon as a scan has asked what is known of holders."""

    def __init__(self, socket: Path) -> None:
        super().__init__(socket)
        self._loop = asyncio.get_running_loop()

    def held(self, resource: str) -> frozenset[str]:
        known = super().held(resource)
        self._loop.call_soon_threadsafe(self._answered)
        return known

    def _answered(self) -> None:
        if not self.holders:
            self.holders = {HELD_BEFORE: frozenset({Holder(namespace="default", pod="p", container="c")})}
            for listener in self._listeners:
                listener()


async def test_a_held_device_is_listed_also_when_its_holder_is_heard_of_during_the_first_scan(tmp_path: Path) -> None:
    settings = PluginSettings(kubelet_dir=tmp_path, cdi_dir=tmp_path / "cdi")
    pod_resources = AnswersDuringTheScan(tmp_path / "none.sock")
    family = Family(DemoPlugin(), settings, (), pod_resources=pod_resources, timings=QUICK)
    changed = asyncio.Event()
    with family.inventory.listening("unit", changed.set):
        work = asyncio.create_task(family.run())
        async with asyncio.timeout(10):
            while "unit9" not in family.inventory.snapshot("unit").devices:
                changed.clear()
                await changed.wait()
        work.cancel()

    assert family.inventory.snapshot("unit").devices["unit9"].health == "Unhealthy"
