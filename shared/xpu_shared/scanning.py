"""When to scan: at once after an event, again when udev has caught up, and once in a while as a safety net."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from xpu_shared.counters import ScanCounters
from xpu_shared.program.logs import Log
from xpu_shared.threads import in_daemon_thread

COALESCE = 0.020  # seconds: events so close together are one reason to scan
# udev's links appear after the kernel's event: seconds after the last event at which to look again.
LATER_LOOKS = (0.1, 0.5, 2.0)
LONGEST_REST = 1.0  # seconds: a scan that took longer has waited, for example for a device that hung
SLOW_SCAN = 10.0  # seconds after which a scan that still runs is spoken of

T = TypeVar("T")
log = Log("scanning")


@dataclass(slots=True, kw_only=True)
class Schedule:
    """The times at which a scan is due, in monotonic seconds."""

    interval: float
    _first_event: float | None = None  # that no scan has started after
    _looks: list[float] = field(default_factory=list)
    _not_before: float = 0.0
    _last_start: float = 0.0

    def event(self, now: float) -> None:
        if self._first_event is None:
            self._first_event = now
        self._looks = [now + delay for delay in LATER_LOOKS]

    def started(self, now: float) -> None:
        self._first_event = None
        self._looks = [look for look in self._looks if look > now]
        self._last_start = now

    def ended(self, now: float) -> None:
        # A flood of events must not keep a core busy: rest as long as the scan took.
        self._not_before = now + min(LONGEST_REST, now - self._last_start)

    def due(self, also: float | None = None) -> float:
        """When to scan next; `also` is another time at which something is to be looked at."""
        times = [self._last_start + self.interval, *self._looks[:1]]
        if self._first_event is not None:
            times.append(self._first_event + COALESCE)
        if also is not None:
            times.append(also)
        return max(min(times), self._not_before)


class Scanner(Generic[T]):
    """Runs one plugin's scans, one at a time, each in a daemon thread; whatever a scan's result is."""

    def __init__(
        self,
        name: str,
        scan: Callable[[], T],
        *,
        interval: float,
        counters: ScanCounters,
    ) -> None:
        self._name = name
        self._scan = scan
        self._schedule = Schedule(interval=interval)
        self._counters = counters
        self._wake = asyncio.Event()
        self._trouble = ""

    def event(self) -> None:
        """Something happened that is a reason to scan."""
        self._schedule.event(asyncio.get_running_loop().time())
        self._wake.set()

    async def run(self, publish: Callable[[T], float | None]) -> None:
        """Scan until cancelled. `publish` takes a result and says when to scan at the latest, or None."""
        loop = asyncio.get_running_loop()
        also = None
        while True:
            self._schedule.started(loop.time())
            result = await self._once()
            self._schedule.ended(loop.time())
            if result is not None:
                also = publish(result)
            await self._until_due(also)

    async def _once(self) -> T | None:
        """One scan; None when nothing could be seen, and everything stays what it was."""
        started = time.perf_counter()
        scan = asyncio.ensure_future(in_daemon_thread(self._scan, name=f"scan {self._name}"))
        try:
            done, _ = await asyncio.wait({scan}, timeout=SLOW_SCAN)
            if not done:
                log.warning("a scan hangs, devices stay what they were", plugin=self._name, seconds=SLOW_SCAN)
            result = await scan
        except Exception as error:  # noqa: BLE001 - a failing scan must not end the plugin
            self._counters.errors += 1
            self._counters.nothing_there = isinstance(error, FileNotFoundError)
            self._note(error)
            return None
        finally:
            scan.cancel()
        self._counters.durations.add(time.perf_counter() - started)
        self._counters.last_success = time.time()
        if self._trouble:
            self._trouble = ""
            log.info("scans again", plugin=self._name)
        return result

    def _note(self, error: Exception) -> None:
        text = str(error) if isinstance(error, OSError) else repr(error)
        if text != self._trouble:
            self._trouble = text
            log.warning("the scan failed, devices stay what they were", plugin=self._name, reason=text)

    async def _until_due(self, also: float | None) -> None:
        loop = asyncio.get_running_loop()
        while (left := self._schedule.due(also) - loop.time()) > 0:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._wake.wait()
