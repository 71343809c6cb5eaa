"""Keeps the node's labels as the newest snapshot has them; what a label says is in `labels.py`."""

import asyncio
import time
from collections.abc import Collection, Sequence
from functools import partial

from xpu_shared.labels.labeller import Labeller
from xpu_shared.labels.sinks import Sink
from xpu_shared.program.logs import Log
from xpu_shared.telemetry.readings import DeviceSnapshot
from xpu_shared.threads import in_daemon_thread
from xpu_sidecars.level_zero.cards import cards
from xpu_sidecars.level_zero.gpus import Missing, driven_gpus
from xpu_sidecars.level_zero.labels import labels
from xpu_sidecars.level_zero.settings import SidecarSettings

PAUSE = 0.25  # seconds between two looks, however short the sampling interval is

log = Log("labels")


class Labelling:
    """Made inside a running event loop."""

    def __init__(self, settings: SidecarSettings, sinks: Sequence[Sink]) -> None:
        self.labeller = Labeller(sinks)
        self._settings = settings
        self._newest: tuple[DeviceSnapshot, Collection[str]] | None = None
        self._news = asyncio.Event()
        self._missing = Missing()

    def take(self, snapshot: DeviceSnapshot, unread: Collection[str]) -> None:
        """A snapshot in which nothing is missing that will come; `unread` are devices that it can tell nothing of."""
        self._newest = snapshot, unread
        self._news.set()

    async def run(self) -> None:
        """Keep labels until cancelled. At the end they stay, unless the administrator wants it otherwise."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.labeller.run())
                tasks.create_task(self._look_for_ever())
        finally:
            if self._settings.remove_labels_on_exit:
                await self.labeller.remove()

    async def _look_for_ever(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if self._newest is not None:
                snapshot, unread = self._newest
                work = partial(self._labels, snapshot, unread)
                found = await in_daemon_thread(work, name="labels")
                if found is not None:
                    self.labeller.want(found)
            await asyncio.sleep(PAUSE)

    def _labels(self, snapshot: DeviceSnapshot, unread: Collection[str]) -> dict[str, str] | None:
        """None: what there is stays, because it would be half of the truth."""
        listed = {*unread, *(device.pci_address for device in snapshot.devices)}
        if self._missing.look(driven_gpus(self._settings.sysfs_root) or (), listed, time.monotonic()):
            return None
        return labels(
            snapshot,
            unread=unread,
            cards=cards(self._settings.sysfs_root),
            namespace=self._settings.label_namespace,
            interval=self._settings.sampling_interval,
        )
