"""Runs one or many plugins in one process until SIGTERM: signals, events, the kubelet's directory, the metrics page."""

import asyncio
import contextlib
import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xpu_shared.counters import EventCounters
from xpu_shared.family import Family, supervised
from xpu_shared.kernel.uevents import OnEvent, Uevent, listen_on_socket, listen_to_kernel
from xpu_shared.kernel.watching import DirectoryWatcher
from xpu_shared.kubelet import servers as kubelet
from xpu_shared.kubelet.directory import SocketDirectory
from xpu_shared.kubelet.pod_resources import PodResources
from xpu_shared.kubelet.registration import Timings
from xpu_shared.kubelet.servers import ServerType
from xpu_shared.plugin import Plugin
from xpu_shared.program import logs
from xpu_shared.program.logs import Log
from xpu_shared.program.settings import PluginSettings
from xpu_shared.program.without_tls import import_metrics_library
from xpu_shared.program.working import until_signalled
from xpu_shared.threads import in_daemon_thread

if TYPE_CHECKING:
    from xpu_shared.node_events import NodeEvents

LAST_ANSWER = 1.0  # seconds for the kubelet to say who holds what, and for files to go
SHUTDOWN = 4.5  # seconds for everything to end, of the 5 that a supervisor is promised
SOCKET_RETRY = 1.0  # seconds between attempts to bind the uevent socket
SWITCH_INTERVAL = 0.001  # seconds that a thread which computes keeps others waiting; 0.005 by default
COLLECTION_THRESHOLDS = (700, 10, 100)  # the last one is 10 by default

log = Log("runner")


def run(plugins: Sequence[Plugin], settings: PluginSettings, *, program: str) -> int:
    """Run the plugins until SIGTERM or SIGINT; returns the exit code."""
    logs.configure(settings.log_format, settings.v)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what gRPC would print is in the errors that we log
    share_fairly()
    if settings.metrics_address is not None:
        import_metrics_library()
    asyncio.run(Runner(plugins, settings, program=program).run())
    return 0


class Runner:
    def __init__(
        self, plugins: Sequence[Plugin], settings: PluginSettings, *, program: str, timings: Timings | None = None
    ) -> None:
        self._plugins = plugins
        self._settings = settings
        self._program = program
        self._timings = timings or Timings()
        self._events = EventCounters()

    async def run(self) -> None:
        """Run until a signal comes or the task is cancelled."""
        await until_signalled(
            self._work(), shutdown=SHUTDOWN, stopping=lambda: log.info("stops", program=self._program)
        )

    async def _work(self) -> None:
        settings = self._settings
        places = kubelet.places(settings)
        pod_resources = PodResources(
            settings.kubelet_dir / "pod-resources/kubelet.sock",
            period=self._timings.holders,
            quiet_period=self._timings.quiet_holders,
        )
        watcher = DirectoryWatcher()
        for directory, _ in places:
            watcher.watch(directory.path, directory.look)
        events = self._node_events() if settings.events else None
        families = self._families(places, pod_resources, events)
        for family in families:
            for watched in family.watched_directories:
                watcher.watch(watched, family.event)
        log.info("starts", program=self._program, plugins=",".join(family.plugin.namespace for family in families))
        warn(settings, families)
        closers: list[Callable[[], None]] = []
        try:
            self._listen_to_kernel(families, closers)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(supervised("directory watch", watcher.run))
                for directory, _ in places:
                    tasks.create_task(supervised(f"looks at {directory.path}", directory.run))
                tasks.create_task(supervised("pod resources", pod_resources.run))
                if events is not None:
                    tasks.create_task(supervised("Events", events.run))
                if settings.uevent_socket is not None:
                    await self._bind(settings.uevent_socket, families, closers, tasks)
                if settings.metrics_address is not None:
                    from xpu_shared.observation import serve  # noqa: PLC0415 - 4 MiB that only metrics need

                    closers.append(
                        serve(settings.metrics_address, families, self._events, events, program=self._program)
                    )
                for family in families:
                    tasks.create_task(family.run())
        finally:
            for close in reversed(closers):
                close()
            await _leave(families, pod_resources)

    def _families(
        self,
        places: Sequence[tuple[SocketDirectory, ServerType]],
        pod_resources: PodResources,
        events: "NodeEvents | None",
    ) -> list[Family]:
        families = [
            family for plugin in self._plugins if (family := self._family(plugin, places, pod_resources, events))
        ]
        if not families:
            raise RuntimeError("no plugin is left to run")
        return families

    def _family(
        self,
        plugin: Plugin,
        places: Sequence[tuple[SocketDirectory, ServerType]],
        pod_resources: PodResources,
        events: "NodeEvents | None",
    ) -> Family | None:
        """The plugin made ready to work; one that cannot even say what it is costs only itself."""
        try:
            return Family(
                plugin,
                self._settings,
                places,
                pod_resources=pod_resources,
                timings=self._timings,
                on_turns=events.tell if events else lambda _: None,
            )
        except Exception as error:  # noqa: BLE001 - plugins are anybody's
            log.error("a plugin is left out", plugin=type(plugin).__name__, error=repr(error))
            return None

    def _node_events(self) -> "NodeEvents | None":
        """What writes Events; without an API server everything else works as well."""
        from xpu_shared.api_server import NoApiServerError  # noqa: PLC0415 - TLS, 4 MiB that only Events need
        from xpu_shared.node_events import NodeEvents  # noqa: PLC0415 - as above

        try:
            return NodeEvents.of_this_pod(self._program)
        except NoApiServerError as error:
            log.warning("no Events are written", reason=error)
            return None

    def _dispatch(self, families: Sequence[Family]) -> OnEvent:
        def on_event(event: Uevent | None) -> None:
            for family in families:
                if event is None or event.subsystem in family.subsystems:
                    family.event(event)

        return on_event

    def _listen_to_kernel(self, families: Sequence[Family], closers: list[Callable[[], None]]) -> None:
        try:
            closers.append(listen_to_kernel(_subsystems(families), self._dispatch(families), self._events))
        except OSError as error:
            interval = f"{self._settings.rescan_interval:g}s"
            log.warning("no kernel events, changes are found by scanning", every=interval, reason=error)

    async def _bind(
        self, path: Path, families: Sequence[Family], closers: list[Callable[[], None]], tasks: asyncio.TaskGroup
    ) -> None:
        """Bind the uevent socket, at once if possible, else as soon as its path is free."""

        def bind() -> None:
            closers.append(listen_on_socket(path, _subsystems(families), self._dispatch(families), self._events))

        async def keep_trying() -> None:
            while True:
                await asyncio.sleep(SOCKET_RETRY)
                try:
                    return bind()
                except OSError:
                    continue

        try:
            bind()
        except OSError as error:
            log.warning("cannot bind the uevent socket, keeps trying", socket=path, reason=error)
            tasks.create_task(keep_trying())


async def _leave(families: Sequence[Family], pod_resources: PodResources) -> None:
    """Remove what would be left after an uninstallation: the CDI files of devices that nobody holds.

    Only a kubelet that answers now knows who does. Who comes after us writes the files again before they are needed.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_ANSWER):
            if await pod_resources.refresh():
                for family in families:
                    await in_daemon_thread(family.remove_cdi_files, name=f"last files of {family.plugin.namespace}")
    await pod_resources.close()


def _subsystems(families: Sequence[Family]) -> frozenset[str]:
    return frozenset[str]().union(*(family.subsystems for family in families))


def share_fairly() -> None:
    """Have the interpreter let the event loop in while a plugin's thread computes, or makes 100,000 devices."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    # A collection of everything holds all threads up: 50 ms with 100,000 devices, and by default a dozen times while
    # they are made. The third number is for that; young objects are collected as ever.
    gc.set_threshold(*COLLECTION_THRESHOLDS)


def warn(settings: PluginSettings, families: Sequence[Family]) -> None:
    """Say in the log what may be broken by what was chosen."""
    for text in warnings(settings):
        log.warning(text)
    for family in families:
        for text in family.warnings:
            log.warning(text, plugin=family.plugin.namespace)


def warnings(settings: PluginSettings) -> list[str]:
    """What chosen settings may break."""
    texts = []
    if settings.registration == "both":
        texts.append(
            "with --registration=both a kubelet up to 1.36 takes the two connections for one: "
            "when either ends, the resource is lost for 30 s, until the plugin registers again"
        )
    if settings.instance:
        texts.append("with --instance a kubelet up to 1.36 loses the resource for 30 s when one of two instances ends")
    return texts
