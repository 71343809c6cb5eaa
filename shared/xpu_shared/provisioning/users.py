"""Who has a device's file open: processes as /proc shows them, which in a pod takes `hostPID`."""

import os
from collections.abc import Collection
from pathlib import Path

PROC = Path("/proc")


def open_files(files: Collection[Path], proc: Path = PROC) -> dict[Path, int]:
    """The files that some process has open, each with such a process's id. What cannot be seen is left out.

    A file is known by its device number, and where it has none (in simulated trees) by its own identity.
    """
    wanted = {key: file for file in files if (key := _identity(str(file))) is not None}
    if not wanted:
        return {}
    found: dict[Path, int] = {}
    for name in _names(str(proc)):
        if not name.isdigit():
            continue
        for descriptor in _names(f"{proc}/{name}/fd"):
            key = _identity(f"{proc}/{name}/fd/{descriptor}")
            if key in wanted:
                found.setdefault(wanted[key], int(name))
    return found


def _identity(path: str) -> tuple[int, ...] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - thousands of paths, as text
    except OSError:
        return None
    return (status.st_rdev,) if status.st_rdev else (status.st_dev, status.st_ino)


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:  # it has ended, or its files are not ours to see
        return []
