"""The parent's side of the child process: started, listened to, killed, and never waited for in vain."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from enum import Enum, auto

from xpu_shared.telemetry.kinds import Group, Mode
from xpu_sidecars.level_zero.command import LEGACY_NEEDED, NO_CAUTION, Arguments, Caution
from xpu_sidecars.level_zero.reports import MalformedReportError, Report, ReportReader

FAULTS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)
POLL = 0.01  # seconds between looks whether a killed process has ended
CHUNK = 256 * 1024  # bytes read at once


class End(Enum):
    """Why a child is no more listened to."""

    EXITED = auto()  # it has said what is wrong, or its parent goes
    LEGACY_NEEDED = auto()
    CRASHED = auto()
    SILENT = auto()  # it hangs as a whole, such as in the library's initialisation
    MALFORMED = auto()  # it sends what is no report
    REPLACED = auto()  # by a new one, which finds the devices there are now


def environment(mode: Mode) -> dict[str, str]:
    """The child's environment: the driver reads its settings there."""
    # A mask would hide devices. With Sysman's own initialisation the variable of the legacy way does harm.
    inherited = {
        key: value for key, value in os.environ.items() if key not in ("ZE_AFFINITY_MASK", "ZES_ENABLE_SYSMAN")
    }
    if mode is Mode.WSL:  # numbers have to be those that containers count
        return inherited
    legacy = {"ZES_ENABLE_SYSMAN": "1"} if mode is Mode.LEGACY else {}
    return {**inherited, **legacy, "ZE_ENABLE_PCI_ID_DEVICE_ORDER": "1"}


class Child:
    """A running child. It is executed, not forked: threads of ZeroMQ do not survive a fork."""

    def __init__(
        self,
        library: str,
        mode: Mode,
        interval: float,
        hang_after: float,
        *,
        groups: tuple[Group, ...] = (),
        caution: Caution = NO_CAUTION,
    ) -> None:
        pipe, end = os.pipe()
        arguments = Arguments(
            parent=os.getpid(),
            pipe=end,
            library=library,
            mode=mode,
            interval=interval,
            hang_after=hang_after,
            groups=groups,
            caution=caution,
        )
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "xpu_sidecars.level_zero.collector", *arguments.texts()],
                stdin=subprocess.DEVNULL,
                stdout=2,  # drivers may print; our own standard output is not theirs
                pass_fds=(end,),
                env=environment(mode),
            )
        except OSError:
            os.close(pipe)
            raise
        finally:
            os.close(end)
        self._pipe = os.fdopen(pipe, "rb", buffering=0)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def listen(self, on_report: Callable[[Report], None], *, opening: float, silence: float) -> End:
        """Take reports until there are no more.

        Args:
            opening: seconds without a first report, while the library is opened, that end it too.
            silence: seconds without a further report that do.
        """
        patience = opening
        reader, reports = asyncio.StreamReader(), ReportReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), self._pipe)
        try:
            while True:
                async with asyncio.timeout(patience):
                    data = await reader.read(CHUNK)
                patience = silence
                if not data:
                    return End.EXITED
                for report in reports.feed(data):
                    on_report(report)
        except TimeoutError:
            return End.SILENT
        except MalformedReportError:
            return End.MALFORMED
        finally:
            transport.close()

    async def ended(self, within: float) -> bool:
        """Wait until the process has ended; not for longer than `within` seconds, because it may never do."""
        deadline = time.monotonic() + within
        while self._process.poll() is None:  # a descriptor of the process would tell, but not with every kernel
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(POLL)
        return True

    def kill(self) -> None:
        self._process.kill()

    def how(self) -> str:
        """How it has ended."""
        code = self._process.returncode
        if code is None:
            return "still runs"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"

    @property
    def crashed(self) -> bool:
        """It has ended by a fault of its code or by an exit in it, not because somebody killed it."""
        code = self._process.returncode
        return code is not None and (code >= 0 or -code in FAULTS)

    @property
    def end(self) -> End:
        """What its exit code says."""
        code = self._process.returncode
        if code == LEGACY_NEEDED:
            return End.LEGACY_NEEDED
        return End.CRASHED if code else End.EXITED
