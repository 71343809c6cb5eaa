"""The child process that owns the driver library: `python -m xpu_sidecars.level_zero.collector`.

A driver may crash, hang, leak or print; here it does that to nobody else. The child writes reports into a pipe until it
is killed. It dies with its parent, and needs neither ZeroMQ nor a web server.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xpu_shared.telemetry.kinds import Mode
from xpu_shared.telemetry.readings import DeviceSnapshot, WslDevices
from xpu_sidecars.level_zero.library import Library, LibraryError
from xpu_sidecars.level_zero.opening import LegacyNeededError, UnavailableError, devices, initialise, wsl_indices
from xpu_sidecars.level_zero.reports import Report, frame
from xpu_sidecars.level_zero.rounds import HEARTBEAT, NO_CAUTION, Caution, Rounds

PR_SET_PDEATHSIG = 1  # linux/prctl.h
LEGACY_NEEDED = 3  # exit code: start again, the legacy way
FLAT = "FLAT"  # the hierarchy of devices when the environment chooses none

Tell = Callable[[Report], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The child's command line; only its parent writes it."""

    parent: int  # process id
    pipe: int  # descriptor that reports are written to
    library: str
    mode: Mode
    interval: float  # seconds between rounds
    hang_after: float  # seconds after which a call hangs
    caution: Caution = NO_CAUTION

    def texts(self) -> list[str]:
        numbers = [str(number) for number in (self.interval, self.hang_after, int(self.caution.one_by_one))]
        return [str(self.parent), str(self.pipe), self.library, self.mode, *numbers, *self.caution.without]


def arguments_of(texts: Sequence[str]) -> Arguments:
    parent, pipe, library, mode, interval, hang_after, one_by_one, *without = texts
    return Arguments(
        parent=int(parent),
        pipe=int(pipe),
        library=library,
        mode=Mode(mode),
        interval=float(interval),
        hang_after=float(hang_after),
        caution=Caution(one_by_one=bool(int(one_by_one)), without=tuple(without)),
    )


def main() -> int:
    arguments = arguments_of(sys.argv[1:])
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != arguments.parent:  # it ended before the kernel was told
        return 0
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent

    def tell(report: Report) -> None:
        rest = memoryview(frame(report))
        while rest:
            rest = rest[os.write(arguments.pipe, rest) :]

    try:
        library = Library(arguments.library)
        initialise(library, arguments.mode)
        if arguments.mode is Mode.WSL:
            list_for_ever(library, arguments.interval, tell)
        else:
            found = devices(library, arguments.mode)
            rounds = Rounds(
                library,
                arguments.mode,
                found,
                arguments.interval,
                hang_after=arguments.hang_after,
                caution=arguments.caution,
                tell=tell,
            )
            rounds.run()
    except LegacyNeededError:
        return LEGACY_NEEDED
    except (LibraryError, UnavailableError) as error:
        tell(Report(snapshot=DeviceSnapshot(mode=arguments.mode, unavailable=str(error))))
    except BrokenPipeError:
        pass  # the parent has given this child up
    return 0


def list_for_ever(library: Library, interval: float, tell: Tell) -> None:
    """All that can be known in WSL: which devices there are."""
    hierarchy = os.environ.get("ZE_FLAT_DEVICE_HIERARCHY") or FLAT
    while True:
        wsl = WslDevices(indices=tuple(wsl_indices(library)), hierarchy=hierarchy)
        tell(Report(snapshot=DeviceSnapshot(mode=Mode.WSL, wsl=wsl)))
        time.sleep(min(interval, HEARTBEAT))


if __name__ == "__main__":
    sys.exit(main())
