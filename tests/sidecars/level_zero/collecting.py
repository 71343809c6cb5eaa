"""A supervisor with real children, and what came of them, for tests."""

import asyncio
import os
import select
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from level_zero import Scenario
from xpu_shared.telemetry.readings import DeviceReading
from xpu_sidecars.level_zero.child import Child
from xpu_sidecars.level_zero.reports import Report
from xpu_sidecars.level_zero.supervisor import Supervisor, Timings

INTERVAL = 0.1
QUICK = Timings(
    retry=0.2,
    first_pause=0.05,
    longest_pause=0.2,
    steady=60.0,
    hang_after=0.3,
    opening=3.0,
    silence=1.5,
    kill=0.3,
    apart=0.0,
)


class Collected:
    """What a supervisor told, newest last."""

    supervisor: Supervisor

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.troubles: list[str] = []
        self._news = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def on_report(self, report: Report) -> None:
        self.reports.append(report)
        self._notify()

    def on_trouble(self, text: str) -> None:
        self.troubles.append(text)
        self._notify()

    def _notify(self) -> None:
        async def notify() -> None:
            async with self._news:
                self._news.notify_all()

        task = asyncio.create_task(notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(15), self._news:
            await self._news.wait_for(lambda: bool(holds()))

    async def reading(self, address: str, holds: Callable[[DeviceReading], object] = lambda _: True) -> DeviceReading:
        """The next reading of a device that is as wished."""
        seen = len(self.reports)

        def found() -> list[DeviceReading]:
            new = [device for report in self.reports[seen:] for device in report.snapshot.devices]
            return [device for device in new if device.pci_address == address and holds(device)]

        await self.until(found)
        return found()[0]

    async def trouble(self, text: str) -> None:
        await self.until(lambda: any(text in trouble for trouble in self.troubles))

    @property
    def pid(self) -> int:
        assert self.supervisor.child is not None
        return self.supervisor.child.pid


@asynccontextmanager
async def collecting(
    library: Scenario | str,
    *,
    wsl: bool = False,
    timings: Timings = QUICK,
    kill: Callable[[Child], None] = Child.kill,
) -> AsyncGenerator[Collected]:
    collected = Collected()
    name = library if isinstance(library, str) else str(library.library)
    supervisor = collected.supervisor = Supervisor(
        name,
        INTERVAL,
        wsl=wsl,
        on_report=collected.on_report,
        on_trouble=collected.on_trouble,
        timings=timings,
        kill=kill,
    )
    running = asyncio.create_task(supervisor.run())
    try:
        yield collected
    finally:
        running.cancel()
        await asyncio.wait({running})
        for child in supervisor.abandoned:
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
            await child.ended(5)


def has_ended(pid: int, within: float = 10.0) -> bool:
    """Wait for the end of a process that need not be a child of this one."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], within)[0])
    finally:
        os.close(descriptor)


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))
