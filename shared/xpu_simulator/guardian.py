"""Removes what a simulation would leave behind, however it ends.

Started as a file by `workspace.py`. It makes the simulation's directory, so that there is none without a guardian,
tells its path on stdout, and reads stdin, whose other end only the simulator has: `+PID` and `-PID` for process groups
that start and end, `+screen` and `-screen` while the terminal, its stderr, shows a view. At the end of stdin it ends
what lives, restores the terminal and removes the directory. It has a session of its own: no Ctrl-C reaches it.
"""

import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

PREFIX = "xpu-sim-"
MARKER = ".xpu-simulator"  # in a directory that may be removed
RESTORED_SCREEN = "\033[?1049l\033[?25h"  # the normal screen of xterm and its kin, with a cursor
ATTEMPTS = 100  # what has just been killed may still have been making files


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=sys.argv[1]))
    except OSError as error:
        print(error, flush=True)
        return
    alive: set[str] = set()
    try:
        (directory / MARKER).touch()
        print(directory, flush=True)
        for line in sys.stdin:
            (alive.add if line.startswith("+") else alive.discard)(line[1:].rstrip())
    finally:
        if "screen" in alive:
            print(RESTORED_SCREEN, end="", file=sys.stderr, flush=True)
        remove(directory, [int(name) for name in alive if name.isdecimal()])


def remove(directory: Path, groups: list[int]) -> None:
    """End process groups and remove a directory, if it is still the one that was made."""
    removable = (directory / MARKER).is_file() and not directory.is_symlink()
    for _ in range(ATTEMPTS):
        for group in groups:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        if removable:
            shutil.rmtree(directory, ignore_errors=True)
        if not removable or not directory.exists():
            return
        time.sleep(0.02)


if __name__ == "__main__":
    main()
