"""One run at a time: a lock on a file, which ends with the process that holds it however that ends."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xpu_shared.program.logs import Log
from xpu_shared.provisioning.engine import Clock
from xpu_shared.provisioning.sysfs import reason

PATIENCE = 60.0  # seconds for the other run
LOOK_AGAIN = 0.1

log = Log("provisioning")


class LockError(Exception):
    """The lock cannot be had; one line that names its file."""


@contextmanager
def locked(
    path: Path, *, instead: Path | None = None, clock: Clock = time, patience: float = PATIENCE
) -> Iterator[None]:
    """Hold the lock.

    Args:
        instead: a directory that is locked where the file would be on a read-only file system.
    Raises:
        LockError: another run holds it for longer than `patience` seconds, or the file cannot be made.
    """
    try:
        descriptor = _opened(path)
    except OSError as error:
        if error.errno != errno.EROFS or instead is None:
            raise LockError(f"lock file {path}: {reason(error)}") from None
        log.info("a read-only place, locks a directory instead", lock=path, directory=instead)
        path, descriptor = instead, _opened_directory(instead)
    try:
        _wait(descriptor, path, clock, patience)
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _opened_directory(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise LockError(f"lock on directory {path}: {reason(error)}") from None


def _wait(descriptor: int, path: Path, clock: Clock, patience: float) -> None:
    until = clock.monotonic() + patience
    told = False
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic() >= until:
                raise LockError(f"lock file {path}: another run has held it for {patience:g} s") from None
        except OSError as error:
            raise LockError(f"lock file {path}: {reason(error)}") from None
        if not told:
            told = True
            log.info("another run is at work, waits for it", lock=path, seconds=patience)
        clock.sleep(LOOK_AGAIN)
