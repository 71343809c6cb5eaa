"""Keeps the metrics page: rendered in a thread when a snapshot or pods are new, never because of a scrape."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from xpu_shared.program.logs import Log
from xpu_shared.program.prepared import Prepared
from xpu_shared.telemetry.readings import DeviceSnapshot
from xpu_shared.threads import in_daemon_thread
from xpu_sidecars.level_zero.attributing import Held
from xpu_sidecars.level_zero.attribution import attribute
from xpu_sidecars.level_zero.cards import cards
from xpu_sidecars.level_zero.series import series

PAUSE = 0.25  # seconds between two renderings: bounds what a short sampling interval costs
LONGEST = 5.0  # seconds until the page is rendered again although nothing is new: what pods hold may have grown old

log = Log("page")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A snapshot and when it was put together, in Unix seconds."""

    snapshot: DeviceSnapshot
    at: float


class MetricsPage:
    """Made inside a running event loop.

    Args:
        held: who holds what, now; asked on the event loop.
        interval: seconds between samples.
    """

    def __init__(
        self, prepared: Prepared, held: Callable[[], Held], *, sysfs: Path, resource_namespace: str, interval: float
    ) -> None:
        self._prepared = prepared
        self._held = held
        self._sysfs = sysfs
        self._resource_namespace = resource_namespace
        self._interval = interval
        self._taken: Taken | None = None
        self._news = asyncio.Event()
        self._trouble = ""

    def take(self, snapshot: DeviceSnapshot) -> None:
        self._taken = Taken(snapshot=snapshot, at=time.time())
        self._news.set()

    def pods_changed(self) -> None:
        self._news.set()

    async def run(self) -> None:
        """Render until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LONGEST):
                    await self._news.wait()
            self._news.clear()
            if self._taken is not None:
                await self._render(self._taken)
            await asyncio.sleep(PAUSE)

    async def _render(self, taken: Taken) -> None:
        try:
            await in_daemon_thread(partial(self._make, taken, self._held()), name="metrics page")
        except Exception as error:  # noqa: BLE001 - the top of a loop: log and go on
            if repr(error) != self._trouble:
                log.error("the page could not be made, the last one stays", error=repr(error))
            self._trouble = repr(error)
        else:
            self._trouble = ""

    def _make(self, taken: Taken, held: Held) -> None:
        found = cards(self._sysfs)
        attribution = attribute(held.holders, held.claims, cards=found, resource_namespace=self._resource_namespace)
        self._prepared.render(
            series(
                taken.snapshot,
                attribution,
                present=frozenset(found.values()),
                taken=taken.at,
                holders_known=held.known,
                interval=self._interval,
                after_each=_let_others_work,
            )
        )


def _let_others_work() -> None:
    """A scrape that comes while 64 GPUs are rendered would wait for the interpreter, once for each of its steps."""
    time.sleep(0.0001)
