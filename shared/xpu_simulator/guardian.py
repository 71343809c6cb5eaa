"""Removes what a simulation would leave behind, however it ends.

Started as a file by `workspace.py`. It makes the simulation's directory, so that there is none without a guardian,
tells its path on stdout, and reads stdin, whose other end only the simulator has: `+PID` and `-PID` for process groups
that start and end, `+screen` and `-screen` while the terminal, its stderr, shows a view. At the end of stdin it ends
what lives, restores the terminal and removes the directory. It has a session of its own: no Ctrl-C reaches it.

Plugins carry the directory in their environment, by which their children are found wherever they have gone. A
simulator and its guardian hold a lock in the directory: one that nobody holds is what was left when both were killed,
and the next guardian removes it.
"""

import fcntl
import os
import shutil
import signal
import stat
import sys
import tempfile
import termios
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

PREFIX = "xpu-sim-"
MARKER = ".xpu-simulator"  # in a directory that may be removed; who lives holds a lock on it
VARIABLE = "XPU_SIMULATION"  # of the environment: the directory
RESTORED_SCREEN = "\033[?1049l\033[?25h"  # the normal screen of xterm and its kin, with a cursor
ATTEMPTS = 100  # what has just been killed may still have been making files


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    parent = Path(sys.argv[1])
    terminal = termios.tcgetattr(sys.stderr) if sys.stderr.isatty() else None
    try:
        directory, _lock = _make(parent)
    except OSError as error:
        print(error, flush=True)
        return
    alive: set[str] = set()
    try:
        with suppress(BrokenPipeError):  # the simulator was killed meanwhile
            os.write(sys.stdout.fileno(), os.fsencode(directory) + b"\n")
        for left in _abandoned(parent):
            remove(left, [])
        for line in sys.stdin:
            (alive.add if line.startswith("+") else alive.discard)(line[1:].rstrip())
    finally:
        if "screen" in alive:
            with suppress(OSError, termios.error):  # the terminal has gone too
                if terminal:
                    termios.tcsetattr(sys.stderr, termios.TCSANOW, terminal)
                print(RESTORED_SCREEN, end="", file=sys.stderr, flush=True)
        remove(directory, [int(name) for name in alive if name.isdecimal()])


def _make(parent: Path) -> tuple[Path, int]:
    """The directory with its marker, which is locked from the moment when it can be seen."""
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    hidden = directory / f"{MARKER}.new"
    hidden.touch()
    lock = hold(hidden)
    hidden.rename(directory / MARKER)
    return directory, lock


def hold(marker: Path) -> int:
    """Lock it for as long as this process lives, or the descriptor is open."""
    descriptor = os.open(marker, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def _abandoned(parent: Path) -> Iterator[Path]:
    """Directories of simulators of ours that live no longer."""
    for directory in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # it goes just now, or somebody holds the lock
            status = directory.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
                continue
            descriptor = os.open(directory / MARKER, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield directory
            finally:
                os.close(descriptor)


def remove(directory: Path, groups: Iterable[int]) -> None:
    """End process groups and whoever has the directory in its environment; remove it, if it is still what was made."""
    removable = (directory / MARKER).is_file() and not directory.is_symlink()
    for _ in range(ATTEMPTS):
        for group in groups:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        ended = end_members(directory)
        if removable:
            _empty(directory)
        if not ended and not (removable and directory.exists()):
            return
        time.sleep(0.02)


def end_members(directory: Path) -> bool:
    """Kill the plugins of a simulation and all that they have started; whether there was somebody."""
    mark = f"{VARIABLE}={directory}".encode()
    found = False
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is somebody else's
            if mark in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
                found = True
    return found


def _empty(directory: Path) -> None:
    """Remove a directory, its marker last: what is left if this process is killed meanwhile is removed later."""
    with suppress(OSError):
        for path in directory.iterdir():
            if path.name == MARKER:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    with suppress(OSError):
        if os.listdir(directory) in ([], [MARKER]):
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
