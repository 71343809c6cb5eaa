"""The sidecar at work until SIGTERM: the collector's reports in, snapshots out."""

import asyncio
import signal
import time
from importlib.metadata import version

from xpu_shared.program import logs
from xpu_shared.program.logs import Log
from xpu_shared.program.signals import end_at_last
from xpu_sidecars.level_zero.changes import Sayer
from xpu_sidecars.level_zero.published import Published
from xpu_sidecars.level_zero.reports import Report
from xpu_sidecars.level_zero.settings import SidecarSettings
from xpu_sidecars.level_zero.supervisor import Timings

SHUTDOWN = 2.0  # seconds for everything to end; nothing is lost when it does not
LOOK = 5.0  # seconds between looks at the kernel's GPUs
SECOND_CHANCE = 600.0  # seconds until devices are enumerated again for the sake of one that is left alone
VALIDITY = 3.0  # intervals without a message after which the last one is stale

log = Log("sidecar")


def run(settings: SidecarSettings, *, program: str) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    logs.configure(settings.log_format, settings.v)
    asyncio.run(Sidecar(settings, program=program).run())
    return 0


class Sidecar:
    def __init__(self, settings: SidecarSettings, *, program: str, timings: Timings | None = None) -> None:
        self._settings = settings
        self._program = program
        self._timings = timings
        self._published = Published(version("xpu-device-plugins"))
        self._changed = asyncio.Event()
        self._sayer = Sayer()

    async def run(self) -> None:
        """Run until a signal comes or the task is cancelled."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()

        def on_signal(*_: object) -> None:
            end_at_last(SHUTDOWN)
            loop.call_soon_threadsafe(stop.set)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)
        work = asyncio.create_task(self._work())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
            log.info("stops", program=self._program)
        finally:
            stopped.cancel()
            work.cancel()
            await asyncio.wait({work})

    async def _work(self) -> None:
        pass

    def _on_report(self, report: Report) -> None:
        self._published.take(report, time.monotonic())
        self._changed.set()

    def _on_trouble(self, reason: str) -> None:
        self._published.trouble(reason)
        self._changed.set()
