"""One plugin at work: scans in, snapshots out, one server per resource. An error here touches no other plugin."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from xpu_shared.acceptance import accept
from xpu_shared.cdi import CdiDirectory, CdiError
from xpu_shared.counters import ResourceCounters, ScanCounters
from xpu_shared.device import CdiDevice, Problem, ScanResult
from xpu_shared.holding import Holding
from xpu_shared.inventory import Inventory, Snapshot
from xpu_shared.judging import judged
from xpu_shared.kernel.uevents import Uevent
from xpu_shared.kubelet.directory import SocketDirectory
from xpu_shared.kubelet.holders import Holders
from xpu_shared.kubelet.pod_resources import PodResources
from xpu_shared.kubelet.registration import Timings
from xpu_shared.kubelet.servers import Server, ServerType
from xpu_shared.kubelet.servicer import Servicer
from xpu_shared.kubelet.streams import Streams
from xpu_shared.outcome import Listed, Outcome, outcome
from xpu_shared.plugin import (
    Causes,
    HearsEvents,
    JudgesDevices,
    OnlyCounts,
    OwnsCdiKinds,
    Plugin,
    RunsBesideScans,
    Warns,
    WatchesDirectories,
)
from xpu_shared.program.logs import Change, Changes, Log
from xpu_shared.program.settings import PluginSettings
from xpu_shared.scanning import Scanner
from xpu_shared.threads import in_daemon_thread
from xpu_shared.turns import Turn

RESTART_DELAY = 1.0  # seconds before a task that failed unexpectedly is started again

log = Log("plugin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a scan found, and what becomes of it with the health that the devices have now."""

    found: ScanResult
    base: Mapping[str, Snapshot]  # what the outcome was worked out from, by device type
    holders: Holders  # as they were known when that began
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What a scan's thread leaves to the event loop."""

    judged: Judged
    problems: Change
    sights: Change


class Family:
    """Made inside a running event loop."""

    def __init__(
        self,
        plugin: Plugin,
        settings: PluginSettings,
        places: Sequence[tuple[SocketDirectory, ServerType]],
        *,
        pod_resources: PodResources,
        timings: Timings,
        on_turns: Callable[[Sequence[Turn]], None] = lambda _: None,
    ) -> None:
        """`on_turns` is told of devices that left service or returned; it returns at once."""
        self.plugin = plugin
        # Asked for once: what a plugin says of itself later must not trouble others.
        self.subsystems = frozenset(plugin.subsystems)
        self.watched_directories = tuple(plugin.watched_directories) if isinstance(plugin, WatchesDirectories) else ()
        self.warnings = tuple(plugin.warnings) if isinstance(plugin, Warns) else ()
        # Ids that only count are no hardware that a pod could have lost: without a holder they tell nobody anything.
        only_counts = isinstance(plugin, OnlyCounts) and plugin.ids_only_count
        self._retention = 0.0 if only_counts else settings.lost_device_retention
        self._heard = plugin.heard if isinstance(plugin, HearsEvents) else None
        self.inventory = Inventory()
        self.scans = ScanCounters()
        self.resources: dict[str, ResourceCounters] = {}  # by device type
        self.servers: dict[str, list[Server]] = {}  # by device type, one for each way of registration
        self._settings = settings
        self._places = places
        self._timings = timings
        self._on_turns = on_turns
        self._cdi = CdiDirectory(settings.cdi_dir, plugin.cdi_kinds if isinstance(plugin, OwnsCdiKinds) else ())
        self._scanner = Scanner(plugin.namespace, self._scan, interval=settings.rescan_interval, counters=self.scans)
        self._problems = Changes()
        self._sights = Changes()  # expected problems
        self._found: ScanResult | None = None  # of the last scan
        self._judgement_due = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._holding = Holding(plugin.namespace, self.inventory, pod_resources, on_change=self.event)

    @property
    def unregistered(self) -> list[str]:
        """The resources that no kubelet listens to; asked from other threads too."""
        return [
            f"{self.plugin.namespace}/{device_type}"
            for device_type, servers in tuple(self.servers.items())
            if not any(server.ready for server in servers)
        ]

    def event(self, event: Uevent | None = None) -> None:
        """Something happened that is a reason to scan; perhaps the kernel said what."""
        if event is not None and self._heard is not None:
            try:
                self._heard(event)
            except Exception as error:  # noqa: BLE001 - plugins are anybody's
                log.error("a plugin failed to hear an event", plugin=self.plugin.namespace, error=repr(error))
        self._scanner.event()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            plugin, namespace = self.plugin, self.plugin.namespace
            if isinstance(plugin, RunsBesideScans):
                causes = Causes(scan=self.event, judge=self._judgement_due.set)
                tasks.create_task(
                    supervised(f"work of {namespace} beside scans", lambda: plugin.run_beside_scans(causes))
                )
            if isinstance(plugin, JudgesDevices):
                tasks.create_task(supervised(f"judgements of {namespace}", self._judge))
            await supervised(f"scans of {self.plugin.namespace}", lambda: self._scanner.run(self._scanned))

    def _scan(self) -> Scanned:
        """Everything of a scan that may block or take long; runs in a thread of its own."""
        result = accept(
            self.plugin.namespace,
            self.plugin.scan(),
            self._settings.socket_directories,
            instance=self._settings.instance,
        )
        worked_out = self._outcome(replace(result, problems=(*result.problems, *self._write_cdi_files(result))))
        problems = self._problems.report(worked_out.outcome.problems)
        return Scanned(judged=worked_out, problems=problems, sights=self._sights.report(worked_out.outcome.sights))

    def _outcome(self, found: ScanResult) -> Judged:
        """Work out what becomes of a scan's result; off the event loop, because it may take long."""
        base = {device_type: self.inventory.snapshot(device_type) for device_type in self.inventory.device_types}
        holders = self._holding.holders
        worked_out = outcome(
            self.plugin.namespace,
            judged(self.plugin, found),
            base,
            held=self._holding.ids,
            retention=self._retention,
            now=time.monotonic(),
        )
        return Judged(found=found, base=base, holders=holders, outcome=worked_out)

    async def _judge(self) -> None:
        """Work out the last scan's outcome anew, each time that devices may be in another state."""
        while True:
            await self._judgement_due.wait()
            self._judgement_due.clear()
            found = self._found
            if found is not None:
                work = partial(self._outcome, found)
                self._publish(await in_daemon_thread(work, name=f"judge {self.plugin.namespace}"))

    def _write_cdi_files(self, result: ScanResult) -> list[Problem]:
        cdi_devices = {device.cdi: None for devices in result.devices.values() for device in devices if device.cdi}
        problems = []
        for device in cdi_devices:
            problems += self._cdi_problem(lambda device=device: self._cdi.ensure(device), device.qualified_name)  # type: ignore[misc]
        return problems + self._cdi_problem(lambda: self._collect(list(cdi_devices)), "old CDI files")

    def _collect(self, found: list[CdiDevice]) -> None:
        retention = self._settings.lost_device_retention
        held = self._holding.listed_cdi_devices()
        for path in self._cdi.collect(found, retention=retention, now=time.monotonic(), held=held):
            log.info("removed the CDI file of a device that is gone", file=path)

    def remove_cdi_files(self) -> None:
        """Remove those of devices that nobody holds, at the end; none as long as it is not clear which these are."""
        kept = self._holding.cdi_devices()
        if self._found is None or kept is None:
            return
        try:
            self._cdi.collect([], retention=0.0, now=time.monotonic(), held=kept)
        except CdiError as error:
            log.warning("CDI files are left", plugin=self.plugin.namespace, reason=error)

    def _cdi_problem(self, step: Callable[[], None], subject: str) -> list[Problem]:
        try:
            step()
        except CdiError as error:
            self.scans.cdi_errors += 1
            return [Problem(subject=subject, text=str(error))]
        return []

    def _scanned(self, scanned: Scanned) -> float | None:
        """Make a scan's outcome what the kubelet is told; returns when to scan again at the latest, None: no need."""
        if self._found is None:
            self._judgement_due.set()  # what was said during the first scan counts
        self._found = scanned.judged.found
        self._publish(scanned.judged)
        self.scans.problems = len(scanned.judged.outcome.problems)
        self._log_problems(scanned)
        return scanned.judged.outcome.scan_again_at

    def _publish(self, worked_out: Judged) -> None:
        """Publish an outcome, unless another one was published while it was worked out; then it is due anew."""
        now = {device_type: self.inventory.snapshot(device_type) for device_type in self.inventory.device_types}
        if now.keys() != worked_out.base.keys() or any(now[type_] is not worked_out.base[type_] for type_ in now):
            self._judgement_due.set()
            return
        for device_type, listed in worked_out.outcome.resources.items():
            self.inventory.publish(device_type, listed.snapshot)
            self._counters(device_type).lists_refused += listed.refused
            self._log_changes(device_type, listed)
            self._on_turns(listed.turned)
            if device_type not in self.servers and listed.snapshot.devices:
                self._serve(device_type)
        self._holding.published(worked_out_with=worked_out.holders)

    def _counters(self, device_type: str) -> ResourceCounters:
        return self.resources.setdefault(device_type, ResourceCounters())

    def _serve(self, device_type: str) -> None:
        """Start what tells the kubelet of a type that was seen for the first time."""
        counters = self._counters(device_type)

        def servicer(streams: Streams) -> Servicer:
            return Servicer(
                self.plugin,
                device_type,
                inventory=self.inventory,
                cdi=self._cdi,
                counters=counters,
                streams=streams,
                device_list=self._settings.device_list,
                on_allocated=self._holding.allocated,
            )

        self.servers[device_type] = [
            server_type(
                self.plugin,
                device_type,
                directory=directory,
                servicer=servicer,
                counters=counters,
                timings=self._timings,
                instance=self._settings.instance,
            )
            for directory, server_type in self._places
        ]
        if self._tasks is not None:
            for server in self.servers[device_type]:
                self._tasks.create_task(supervised(f"server of {server.resource}", server.run))

    def _log_changes(self, device_type: str, listed: Listed) -> None:
        """One line per change of state of a resource, with the devices that changed."""
        if listed.changed is not None:
            log.info(
                "devices changed",
                resource=f"{self.plugin.namespace}/{device_type}",
                healthy=listed.healthy,
                listed=len(listed.snapshot.devices),
                **listed.changed,
            )

    def _log_problems(self, scanned: Scanned) -> None:
        """Each problem when it comes and when it goes, not once per scan."""
        for text in scanned.sights.new:
            log.verbose(2, "not offered, as expected", plugin=self.plugin.namespace, about=text)
        change = scanned.problems
        for text in change.new:
            log.warning("problem", plugin=self.plugin.namespace, about=text)
        for text in change.gone:
            log.info("problem gone", plugin=self.plugin.namespace, about=text)
        if change.more:
            log.warning("more problems came or went", plugin=self.plugin.namespace, count=change.more)


async def supervised(name: str, work: Callable[[], Coroutine[object, object, None]]) -> None:
    """Run `work` again when it fails: what nobody foresaw costs a second, not the plugin."""
    while True:
        # In a task of its own, whose end tells which of the two was cancelled: a task group cancels its own task.
        task = asyncio.create_task(work())
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("failed unexpectedly at its end", task=name, error=repr(error))
            raise
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.error("failed unexpectedly, starts again", task=name, error=repr(error), delay=RESTART_DELAY)
        await asyncio.sleep(RESTART_DELAY)
