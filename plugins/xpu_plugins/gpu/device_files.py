"""The files in /dev/dri that a container needs for a card."""

# ruff: noqa: PTH114, PTH116 - the functions of os for paths that are text

import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from xpu_plugins.gpu.card import RejectedCardError
from xpu_shared.device import DeviceNode, Problem
from xpu_shared.kernel.sysfs import list_names

CONTAINER_DRI = "/dev/dri"
NAME = re.compile(r"(?:card|renderD)[0-9]+")  # old kernels also have controlD64, which no container needs


def device_files(card: str, dev: Path, problems: list[Problem], *, simulated: bool) -> dict[str, os.stat_result]:
    """The card's files that are there, by name.

    Args:
        simulated: a regular file may stand for a character device, because making one needs root.
    Raises:
        RejectedCardError: there are none.
        OSError: sysfs does not say which there should be.
    """
    names = [name for name in list_names(f"{card}/device/drm") if NAME.fullmatch(name)]
    found = {name: _status(f"{dev}/dri/{name}", problems, simulated=simulated) for name in names}
    files = {name: status for name, status in found.items() if status is not None}
    if not files:
        raise RejectedCardError(_nothing_in(dev / "dri", names))
    return files


def _status(path: str, problems: list[Problem], *, simulated: bool) -> os.stat_result | None:
    try:
        status = os.stat(path)
    except OSError as error:
        if not isinstance(error, FileNotFoundError) or os.path.islink(path):
            problems.append(Problem(subject=path, text=f"not handed out: {error.strerror}"))
        return None
    if stat.S_ISCHR(status.st_mode) or (simulated and stat.S_ISREG(status.st_mode)):
        return status
    problems.append(Problem(subject=path, text="not handed out: it is no character device"))
    return None


def _nothing_in(dri: Path, names: Sequence[str]) -> str:
    """Why there is no file. The kernel removes the directory with the last card, and a mount of it stays empty."""
    try:
        orphan = dri.stat().st_nlink == 0
    except OSError:
        orphan = False
    if orphan:
        return f"{dri} was removed and made anew on the host: mount /dev instead of it, or restart this container"
    return f"it has no device file in {dri}; sysfs names {', '.join(names[:4]) or 'none'}"


def device_nodes(names: Iterable[str], host_dev: Path) -> tuple[DeviceNode, ...]:
    """To read and write: even reading a GPU's counters needs both."""
    return tuple(
        DeviceNode(host_path=f"{host_dev}/dri/{name}", container_path=f"{CONTAINER_DRI}/{name}") for name in names
    )
