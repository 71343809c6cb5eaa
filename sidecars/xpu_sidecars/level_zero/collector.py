"""The child process that owns the driver library: `python -m xpu_sidecars.level_zero.collector`.

A driver may crash, hang, leak or print; here it does that to nobody else. The child writes reports into a pipe until it
is killed. It dies with its parent, and needs neither ZeroMQ nor a web server.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable

from xpu_shared.telemetry.kinds import Mode
from xpu_shared.telemetry.readings import DeviceSnapshot, WslDevices
from xpu_sidecars.level_zero.command import LEGACY_NEEDED, arguments_of
from xpu_sidecars.level_zero.library import Library, LibraryError
from xpu_sidecars.level_zero.opening import LegacyNeededError, UnavailableError, devices, initialise, wsl_indices
from xpu_sidecars.level_zero.reports import Report, frame
from xpu_sidecars.level_zero.rounds import HEARTBEAT, Rounds

PR_SET_PDEATHSIG = 1  # linux/prctl.h
FLAT = "FLAT"  # the hierarchy of devices when the environment chooses none

Tell = Callable[[Report], None]


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
                groups=arguments.groups,
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
