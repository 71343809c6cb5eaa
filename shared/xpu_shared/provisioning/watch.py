"""`--watch`: apply, stay, and apply again after a kernel event and once a minute, until SIGTERM."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Collection
from dataclasses import dataclass

from xpu_shared.counters import EventCounters
from xpu_shared.kernel.uevents import Uevent, listen_on_socket, listen_to_kernel
from xpu_shared.program.logs import Log
from xpu_shared.program.signals import ignore_signals
from xpu_shared.provisioning.settings import ProvisioningSettings
from xpu_shared.threads import in_daemon_thread

PERIOD = 60.0  # seconds: a safety net for events that were lost
COALESCE = 0.1  # seconds: a device appears with many events, and its directory is complete a little after the first
REST = 2.0  # seconds after a run that failed, in which events may be those that it caused itself

log = Log("watch")


@dataclass(slots=True)
class Schedule:
    """When to apply next, in monotonic seconds.

    Runs cause events themselves. What is heard during and shortly after a run that failed may be its echo, or a device
    that has just appeared: it is a reason for another run, but after a rest that doubles with each failure.
    """

    ended: float = 0.0
    failures: int = 0  # runs that failed since the last one that did not
    event: float | None = None  # the first one since the last run began, unless it may be an echo
    echo: bool = False
    echoes_until: float = 0.0

    def heard(self, now: float) -> None:
        if now < self.echoes_until:
            self.echo = True
        elif self.event is None:
            self.event = now

    def started(self) -> None:
        self.event, self.echo, self.echoes_until = None, False, 0.0

    def finished(self, now: float, *, failed: bool) -> None:
        self.ended = now
        self.failures = self.failures + 1 if failed else 0
        if failed:
            self.event, self.echo, self.echoes_until = None, self.event is not None, now + REST

    @property
    def due(self) -> float:
        reasons = [self.ended + PERIOD]
        if self.event is not None:
            reasons.append(self.event + COALESCE)
        if self.echo:
            reasons.append(self.ended + min(REST * 2 ** (self.failures - 1), PERIOD))
        return min(reasons)


def watch(
    apply: Callable[[], int], settings: ProvisioningSettings, subsystems: Collection[str], *, program: str
) -> int:
    """Apply until SIGTERM or SIGINT; returns the exit code. A run that has begun is finished first."""
    asyncio.run(_watch(apply, settings, subsystems, program))
    return 0


async def _watch(
    apply: Callable[[], int], settings: ProvisioningSettings, subsystems: Collection[str], program: str
) -> None:
    loop = asyncio.get_running_loop()
    stop, wake = asyncio.Event(), asyncio.Event()
    schedule = Schedule()

    def end() -> None:
        stop.set()
        wake.set()

    def on_signal(*_: object) -> None:
        ignore_signals()
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(end)

    def on_event(_: Uevent | None) -> None:
        schedule.heard(loop.time())
        wake.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        # Not the loop's own way: it gives signals back to the kernel before the process has ended.
        signal.signal(number, on_signal)
    closers = _listen(settings, subsystems, on_event)
    log.info("watches", program=program)
    try:
        while not stop.is_set():
            schedule.started()
            code = await in_daemon_thread(apply, name="apply")
            schedule.finished(loop.time(), failed=code != 0)
            while not stop.is_set() and (left := schedule.due - loop.time()) > 0:
                wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await wake.wait()
    finally:
        for close in closers:
            close()
    log.info("stops", program=program)


def _listen(
    settings: ProvisioningSettings, subsystems: Collection[str], on_event: Callable[[Uevent | None], None]
) -> list[Callable[[], None]]:
    """Listen where it is possible; returns what ends it."""
    counters = EventCounters()
    closers = []
    try:
        closers.append(listen_to_kernel(subsystems, on_event, counters))
    except OSError as error:
        log.warning("no kernel events, changes are found once a minute", reason=error)
    if settings.uevent_socket is not None:
        try:
            closers.append(listen_on_socket(settings.uevent_socket, subsystems, on_event, counters))
        except OSError as error:
            log.warning("cannot bind the uevent socket", socket=settings.uevent_socket, reason=error)
    return closers
