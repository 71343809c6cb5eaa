"""One plugin at work: scans in, snapshots out, one server per resource. An error here touches no other plugin."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace

from xpu_shared.acceptance import accept
from xpu_shared.cdi import CdiDirectory, CdiError
from xpu_shared.counters import ResourceCounters, ScanCounters
from xpu_shared.device import CdiDevice, Device, Problem, ScanResult
from xpu_shared.inventory import Inventory, Snapshot, merge
from xpu_shared.kubelet.directory import SocketDirectory
from xpu_shared.kubelet.messages import LARGEST_LIST, list_message
from xpu_shared.kubelet.pod_resources import PodResources
from xpu_shared.kubelet.registration import Timings
from xpu_shared.kubelet.servers import Server, ServerType
from xpu_shared.kubelet.servicer import Servicer
from xpu_shared.kubelet.streams import Streams
from xpu_shared.plugin import Causes, JudgesDevices, OwnsCdiKinds, Plugin, RunsBesideScans
from xpu_shared.program.logs import Changes, Log
from xpu_shared.program.settings import PluginSettings
from xpu_shared.scanning import Scanner

RESTART_DELAY = 1.0  # seconds before a task that failed unexpectedly is started again

log = Log("plugin")


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
    ) -> None:
        self.plugin = plugin
        self.inventory = Inventory()
        self.scans = ScanCounters()
        self.resources: dict[str, ResourceCounters] = {}  # by device type
        self.servers: dict[str, list[Server]] = {}  # by device type, one for each way of registration
        self._settings = settings
        self._places = places
        self._pod_resources = pod_resources
        self._timings = timings
        self._cdi = CdiDirectory(settings.cdi_dir, plugin.cdi_kinds if isinstance(plugin, OwnsCdiKinds) else ())
        self._scanner = Scanner(plugin.namespace, self._scan, interval=settings.rescan_interval, counters=self.scans)
        self._problems = Changes()
        self._found: ScanResult | None = None  # of the last scan, before it was judged
        self._tasks: asyncio.TaskGroup | None = None
        pod_resources.listen(self._holders_changed)

    @property
    def ready(self) -> bool:
        """Scanned, and every resource is registered and listened to."""
        return self.scans.last_success > 0 and not self.unregistered

    @property
    def unregistered(self) -> list[str]:
        """The resources that no kubelet listens to; asked from other threads too."""
        return [
            f"{self.plugin.namespace}/{device_type}"
            for device_type, servers in tuple(self.servers.items())
            if not any(server.ready for server in servers)
        ]

    def event(self) -> None:
        """Something happened that is a reason to scan."""
        self._scanner.event()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            plugin = self.plugin
            if isinstance(plugin, RunsBesideScans):
                causes = Causes(scan=self.event, judge=self._judge_again)
                name = f"work beside scans of {plugin.namespace}"
                tasks.create_task(supervised(name, lambda: plugin.run_beside_scans(causes)))
            await supervised(f"scans of {self.plugin.namespace}", lambda: self._scanner.run(self._publish))

    def _scan(self) -> ScanResult:
        """Everything of a scan that may block; runs in a thread of its own."""
        result = accept(
            self.plugin.namespace,
            self.plugin.scan(),
            self._settings.socket_directories,
            instance=self._settings.instance,
        )
        return replace(result, problems=(*result.problems, *self._write_cdi_files(result)))

    def _write_cdi_files(self, result: ScanResult) -> list[Problem]:
        cdi_devices = {device.cdi: None for devices in result.devices.values() for device in devices if device.cdi}
        problems = []
        for device in cdi_devices:
            problems += self._cdi_problem(lambda device=device: self._cdi.ensure(device), device.qualified_name)  # type: ignore[misc]
        return problems + self._cdi_problem(lambda: self._collect(list(cdi_devices)), "old CDI files")

    def _collect(self, found: list[CdiDevice]) -> None:
        retention = self._settings.lost_device_retention
        held = [
            device.cdi
            for device_type in self.inventory.device_types
            for id_ in self._held(device_type)
            if (device := self.inventory.snapshot(device_type).devices.get(id_)) and device.cdi
        ]
        for path in self._cdi.collect(found, retention=retention, now=time.monotonic(), held=held):
            log.info("removed the CDI file of a device that is gone", file=path)

    def _cdi_problem(self, step: Callable[[], None], subject: str) -> list[Problem]:
        try:
            step()
        except CdiError as error:
            self.scans.cdi_errors += 1
            return [Problem(subject=subject, text=str(error))]
        return []

    def _judge_again(self) -> None:
        """Devices may be in another state than at the last scan."""
        if self._found is not None:
            self._publish(self._found)

    def _judged(self, device_type: str, found: Sequence[Device]) -> Sequence[Device]:
        """The devices with the health they have now."""
        if not isinstance(self.plugin, JudgesDevices):
            return found
        return self.plugin.judge(device_type, found)

    def _publish(self, result: ScanResult) -> float | None:
        """Make a scan's result what the kubelet is told; returns when to scan again at the latest, None: no need."""
        self._found = result
        problems = list(result.problems)
        soon = None if result.scan_again_in is None else asyncio.get_running_loop().time() + result.scan_again_in
        retention = self._settings.lost_device_retention
        for device_type in dict.fromkeys((*self.inventory.device_types, *result.devices)):
            found = self._judged(device_type, result.devices.get(device_type, ()))
            previous = self.inventory.snapshot(device_type)
            now, held = asyncio.get_running_loop().time(), self._held(device_type)
            losses = result.losses.get(device_type, {})
            snapshot = merge(previous, found, retention=retention, now=now, held=held, losses=losses)
            problem = self._too_large(device_type, snapshot, previous)
            if problem is not None:
                problems.append(problem)
                # The new devices are left out; what happened to the known ones is told all the same.
                found = [device for device in found if device.id in previous.devices]
                held &= previous.devices.keys()
                snapshot = merge(previous, found, retention=retention, now=now, held=held, losses=losses)
            self.inventory.publish(device_type, snapshot)
            self._log_changes(device_type, previous, snapshot)
            if device_type not in self.servers and snapshot.devices:
                self._serve(device_type)
        self._report(problems)
        times = (soon, self.inventory.next_expiry(retention, self._held))
        return min((time for time in times if time is not None), default=None)

    def _held(self, device_type: str) -> frozenset[str]:
        """The ids of the type that containers hold, as far as the kubelet has told."""
        return self._pod_resources.held(f"{self.plugin.namespace}/{device_type}")

    def _holders_changed(self) -> None:
        """A tombstone may no longer be needed, or one is needed for a device that this process never saw."""
        for device_type in self.inventory.device_types:
            snapshot = self.inventory.snapshot(device_type)
            if snapshot.gone_since or not self._held(device_type) <= snapshot.devices.keys():
                self.event()
                return

    def _too_large(self, device_type: str, snapshot: Snapshot, previous: Snapshot) -> Problem | None:
        """Kubelets drop a stream whose message is too large, and with it every device of the resource."""
        if snapshot.version == previous.version:
            return None
        size = list_message(snapshot.devices.values()).ByteSize()
        if size <= LARGEST_LIST:
            return None
        self._counters(device_type).lists_refused += 1
        text = (
            f"its list of {len(snapshot.devices)} devices has {size} bytes, at most {LARGEST_LIST} reach the kubelet; "
            "the last good list stays"
        )
        return Problem(subject=f"{self.plugin.namespace}/{device_type}", text=text)

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

    def _log_changes(self, device_type: str, previous: Snapshot, snapshot: Snapshot) -> None:
        """One line per change of state of a resource, with the devices that changed."""
        if snapshot.version == previous.version:
            return
        before = {id_: device.health for id_, device in previous.devices.items()}
        after = {id_: device.health for id_, device in snapshot.devices.items()}
        changed = sorted(id_ for id_ in before.keys() | after.keys() if before.get(id_) != after.get(id_))
        log.info(
            "devices changed",
            resource=f"{self.plugin.namespace}/{device_type}",
            healthy=sum(device.health == "Healthy" for device in snapshot.devices.values()),
            listed=len(snapshot.devices),
            changed=", ".join(f"{id_} {after.get(id_, 'dropped')}" for id_ in changed[:8])
            + (f" and {len(changed) - 8} more" if len(changed) > 8 else ""),
        )

    def _report(self, problems: list[Problem]) -> None:
        """Log each problem when it comes and when it goes, not once per scan."""
        current = {f"{problem.subject}: {problem.text}": problem for problem in problems}
        unexpected = [text for text, problem in current.items() if not problem.expected]
        self.scans.problems = len(unexpected)
        change = self._problems.report(unexpected)
        for text in change.new:
            log.warning("problem", plugin=self.plugin.namespace, about=text)
        for text in change.gone:
            log.info("problem gone", plugin=self.plugin.namespace, about=text)
        if change.more:
            log.warning("more problems came or went", plugin=self.plugin.namespace, count=change.more)


async def supervised(name: str, work: Callable[[], Coroutine[object, object, None]]) -> None:
    """Run `work` again when it fails: what nobody foresaw costs a second, not the plugin."""
    while True:
        try:
            await work()
            return
        except Exception as error:  # noqa: BLE001 - the top of a loop: log and go on
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # it failed while it was cleaning up, and is to end
                log.error("failed unexpectedly at its end", task=name, error=repr(error))
                return
            log.error("failed unexpectedly, starts again", task=name, error=repr(error), delay=RESTART_DELAY)
            await asyncio.sleep(RESTART_DELAY)
