"""Keeps a child at work: starts it, starts it again when it ends, and finds out why it does."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from xpu_shared.program.logs import Log
from xpu_shared.telemetry.kinds import Group, Mode
from xpu_sidecars.level_zero.child import Child, End
from xpu_sidecars.level_zero.command import Caution
from xpu_sidecars.level_zero.reports import Report

LAST_WAIT = 0.5  # seconds for the child's end at our own
MOST_ABANDONED = 2  # children that cannot be killed; with so many no child is replaced for the sake of one device

log = Log("collector")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds."""

    retry: float = 60.0  # until an unavailable library is tried again
    first_pause: float = 1.0  # after a crash; doubled after each that follows soon
    longest_pause: float = 60.0
    steady: float = 60.0  # at work for so long, a child's crash is the first one
    hang_after: float = 10.0  # a device's call hangs
    opening: float = 60.0  # until a child must have opened the library and told something
    silence: float = 10.0  # without a report: the child as a whole hangs
    kill: float = 2.0  # until a killed child counts as one that cannot be killed
    apart: float = 30.0  # at least between two enumerations that somebody asks for


class Supervisor:
    """`on_report` gets every report, `on_trouble` why there are none now."""

    def __init__(
        self,
        library: str,
        interval: float,
        *,
        wsl: bool,
        groups: tuple[Group, ...] = (),
        on_report: Callable[[Report], None],
        on_trouble: Callable[[str], None],
        timings: Timings | None = None,
        kill: Callable[[Child], None] = Child.kill,
    ) -> None:
        self.starts = 0
        self.crashes = 0
        self.abandoned: list[Child] = []  # killed, and still there: a driver's call in the kernel does not end
        self.child: Child | None = None
        self._library = library
        self._interval = interval
        self._groups = groups
        self._mode = Mode.WSL if wsl else Mode.SYSMAN
        self._on_report = on_report
        self._on_trouble = on_trouble
        self._timings = timings or Timings()
        self._kill = kill
        self._replace = asyncio.Event()
        self._unavailable = ""  # what the child at work said
        self._pause = self._timings.first_pause
        self._looks_for_culprit = False  # a driver has crashed, and which device it was for is not known
        self._culprits: set[str] = set()  # devices whose calls crash the driver
        self._sampling = ""  # the device whose round was begun last, while a culprit is looked for

    def enumerate_again(self) -> None:
        """Have devices found anew by a new child. Soon after the last time it is done a little later."""
        self._replace.set()

    async def run(self) -> None:
        """Until cancelled, which leaves no child behind that can be killed."""
        try:
            while True:
                await self._one_child()
        finally:
            if self.child:
                self._kill(self.child)
                await self.child.ended(LAST_WAIT)

    async def _one_child(self) -> None:
        """Start a child, listen to it until its end, and wait as long as that end demands."""
        began = asyncio.get_running_loop().time()
        self._unavailable = self._sampling = ""
        self.abandoned = [child for child in self.abandoned if not await child.ended(0.0)]
        try:
            child = self.child = Child(
                self._library,
                self._mode,
                self._interval,
                self._timings.hang_after,
                groups=self._groups,
                caution=Caution(one_by_one=self._looks_for_culprit, without=tuple(sorted(self._culprits))),
            )
        except OSError as error:  # no more processes or descriptors
            await self._fail(f"the collector cannot be started: {error}", began)
            return
        self.starts += 1
        end = await self._listen(child, began)
        if end is not End.EXITED:
            self._kill(child)
        if await child.ended(self._timings.kill):
            end = child.end if end is End.EXITED else end
        else:
            self.abandoned.append(child)
            log.warning("the collector cannot be killed and is left to itself", process=child.pid)
        self.child = None
        await self._after(end, child, began)

    async def _listen(self, child: Child, began: float) -> End:
        listening = asyncio.create_task(
            child.listen(self._report, opening=self._timings.opening, silence=self._timings.silence)
        )
        replacing = asyncio.create_task(self._asked_to_replace(began))
        try:
            await asyncio.wait((listening, replacing), return_when=asyncio.FIRST_COMPLETED)
            return listening.result() if listening.done() else End.REPLACED
        finally:
            for task in (listening, replacing):
                task.cancel()
            await asyncio.wait((listening, replacing))

    async def _asked_to_replace(self, began: float) -> None:
        await self._replace.wait()
        await asyncio.sleep(began + self._timings.apart - asyncio.get_running_loop().time())

    def _report(self, report: Report) -> None:
        self._sampling = report.sampling
        if report.sampling:
            return
        if report.snapshot.unavailable:
            self._unavailable = report.snapshot.unavailable
        else:
            self._on_report(report)

    async def _after(self, end: End, child: Child, began: float) -> None:
        self._replace.clear()
        if end is End.LEGACY_NEEDED:
            log.info("the library has no zesInit for these GPUs: starts again with zeInit")
            self._mode = Mode.LEGACY
        elif end is End.REPLACED:
            log.info("devices are enumerated again")
            self._acquit()
        elif self._unavailable:
            await self._wait_for_library()
        elif end is End.SILENT:
            await self._fail("the library does not answer", began)
        elif end is End.MALFORMED:
            await self._fail("the collector sends what is no report", began)
        else:
            if child.crashed:
                self._accuse()
            await self._fail(f"the collector {child.how()}", began)

    def _accuse(self) -> None:
        """After a crash devices are sampled one by one, and the one that it happens to again is left alone."""
        if self._sampling:
            log.warning("calls for a device crash the driver: it is left alone", device=self._sampling)
            self._culprits.add(self._sampling)
        self._looks_for_culprit = not self._sampling

    def _acquit(self) -> None:
        self._looks_for_culprit = False
        self._culprits.clear()

    async def _wait_for_library(self) -> None:
        """Until it is tried again: after a while, or when GPUs have come."""
        self._on_trouble(self._unavailable)
        self._acquit()
        if self._mode is Mode.LEGACY:
            self._mode = Mode.SYSMAN  # it may be another library then
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timings.retry):
                await self._replace.wait()
        self._replace.clear()

    async def _fail(self, text: str, began: float) -> None:
        """Say what went wrong and wait, longer each time that it soon happens again."""
        self.crashes += 1
        if asyncio.get_running_loop().time() - began > self._timings.steady:
            self._pause = self._timings.first_pause
        pause, self._pause = self._pause, min(2 * self._pause, self._timings.longest_pause)
        self._on_trouble(f"{text}; starts again in {pause:g} s")
        await asyncio.sleep(pause)
