"""The sidecar at work until SIGTERM: the collector's reports in, snapshots out."""

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING

from xpu_shared.labels.sinks import NoSinkError, Sink, open_sinks
from xpu_shared.program import logs
from xpu_shared.program.logs import Log
from xpu_shared.program.working import until_signalled
from xpu_shared.sockets import SocketError
from xpu_shared.telemetry.curve import KeyFileError, ServerKeys, server_keys
from xpu_shared.telemetry.publisher import Publisher
from xpu_sidecars.level_zero import gpus
from xpu_sidecars.level_zero.changes import Sayer
from xpu_sidecars.level_zero.labelling import Labelling
from xpu_sidecars.level_zero.labels import FILE_NAME, is_own
from xpu_sidecars.level_zero.published import Published
from xpu_sidecars.level_zero.reports import Report
from xpu_sidecars.level_zero.settings import SidecarSettings
from xpu_sidecars.level_zero.supervisor import MOST_ABANDONED, Supervisor

if TYPE_CHECKING:
    from xpu_sidecars.level_zero.observation import Observation

SHUTDOWN = 2.0  # seconds for everything to end; nothing is lost when it does not
LOOK = 2.0  # seconds between looks at the kernel's GPUs
SECOND_CHANCE = 300.0  # seconds until devices are enumerated again for the sake of one that is lost or left alone
SWITCH_INTERVAL = 0.0002  # seconds that a thread which computes keeps a scrape waiting, at each step; 0.005 by default
SOURCE = "level-zero"
SHORTEST_VALIDITY = 1.0  # seconds: a busy machine may be late by that
VALIDITY = 3.0  # intervals without a message after which the last one is stale

log = Log("sidecar")


def run(settings: SidecarSettings, *, program: str) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    logs.configure(settings.log_format, settings.v)
    try:
        keys = server_keys(settings.publish_secret_key, settings.publish_allowed_keys)
        sinks = open_sinks(settings, file=settings.features_dir / FILE_NAME, is_own=is_own(settings.label_namespace))
    except (KeyFileError, NoSinkError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    sys.setswitchinterval(SWITCH_INTERVAL)
    asyncio.run(Sidecar(settings, keys, sinks, program=program).run())
    return 0


class Sidecar:
    def __init__(
        self, settings: SidecarSettings, keys: ServerKeys | None, sinks: Sequence[Sink], *, program: str
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._sinks = sinks
        self._program = program
        self._published = Published(version("xpu-device-plugins"))
        self._departures = gpus.Departures(settings.sysfs_root)
        self._changed = asyncio.Event()
        self._sayer = Sayer()

    async def run(self) -> None:
        """Run until a signal comes or the task is cancelled."""
        await until_signalled(
            self._work(), shutdown=SHUTDOWN, stopping=lambda: log.info("stops", program=self._program)
        )

    async def _work(self) -> None:
        settings = self._settings
        log.info("starts", program=self._program, library=settings.library, publish=" ".join(settings.endpoints))
        supervisor = Supervisor(
            settings.library,
            settings.sampling_interval,
            wsl=settings.wsl,
            on_report=self._on_report,
            on_trouble=self._on_trouble,
        )
        publisher = Publisher(
            settings.endpoints,
            source=SOURCE,
            node=os.environ.get("NODE_NAME", ""),
            validity=max(VALIDITY * settings.sampling_interval, SHORTEST_VALIDITY),
            keys=self._keys,
        )
        labelling = Labelling(self._settings, self._sinks) if self._sinks else None
        page = None
        try:
            with suppress(SocketError):  # it has said so, and tries again with each message
                publisher.open()
            if settings.metrics_address is not None:
                from xpu_sidecars.level_zero.observation import Observation  # noqa: PLC0415 - memory for metrics only

                labeller = labelling.labeller if labelling else None
                page = Observation(settings, self._published, supervisor, publisher, labeller, program=self._program)
                page.take(self._published.snapshot(time.monotonic()))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(supervisor.run())
                tasks.create_task(self._publish_for_ever(publisher, supervisor, page, labelling))
                tasks.create_task(self._watch_gpus(supervisor))
                if page is not None:
                    tasks.create_task(page.run())
                if labelling is not None:
                    tasks.create_task(labelling.run())
        finally:
            publisher.close()

    def _on_report(self, report: Report) -> None:
        self._published.take(report, time.monotonic())
        self._changed.set()

    def _on_trouble(self, reason: str) -> None:
        self._published.trouble(reason)
        self._changed.set()

    async def _publish_for_ever(
        self,
        publisher: Publisher,
        supervisor: Supervisor,
        page: "Observation | None",
        labelling: Labelling | None,
    ) -> None:
        """At each report, and without reports about as often."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(1.5 * self._settings.sampling_interval):
                    await self._changed.wait()
            self._changed.clear()
            now = time.monotonic()
            self._departures.look(self._published.readings, self._published.lost, supervisor.starts, now)
            self._published.forget(self._departures.gone)
            snapshot = self._published.snapshot(time.monotonic())
            self._sayer.say(snapshot)
            publisher.publish(snapshot)
            if page is not None:
                page.take(snapshot)
            if labelling is not None and self._published.complete:
                labelling.take(snapshot, self._published.unread)

    async def _watch_gpus(self, supervisor: Supervisor) -> None:
        """Have devices enumerated again when GPUs come or go, and from time to time when one is out of reach."""
        changes = gpus.Changes(gpus.driven_gpus(self._settings.sysfs_root))
        enumerated = time.monotonic()
        while True:
            await asyncio.sleep(LOOK)
            second_chance = (
                (self._published.left_alone or self._published.lost)
                and len(supervisor.abandoned) < MOST_ABANDONED
                and time.monotonic() - enumerated >= SECOND_CHANCE
            )
            changed = changes.look(gpus.driven_gpus(self._settings.sysfs_root))
            if changed or second_chance or self._departures.back:
                enumerated = time.monotonic()
                supervisor.enumerate_again()
