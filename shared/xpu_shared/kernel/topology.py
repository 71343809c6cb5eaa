"""Which NUMA nodes a device is near: the directory of the device in sysfs, and the climb from there.

The kernel says it with `numa_node` and `local_cpulist`, on some directory between the device and its root bus. A device
made of others, such as a RAID array or a VFIO group, is near to all that its parts are near to.

Inside, paths are text: 64 devices take 4 ms instead of the 8 ms that Path objects cost.
"""

# ruff: noqa: PTH116, PTH120 - the functions of os for paths that are text

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from xpu_shared.kernel.sysfs import MalformedAttributeError, read_text

CPU_LIST = re.compile(r"[0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*")
NODE_LIST = re.compile(r"[0-9]{1,4}(?:,[0-9]{1,4})*")
LARGEST_NODE = 1023  # the kernel's MAX_NUMNODES is at most 1024; the kubelet takes fewer


class TopologyError(Exception):
    """A device whose NUMA nodes cannot be told; the text names the path and what was found."""


def device_directory(device: Path, *, sysfs: Path) -> Path:
    """The directory in sysfs of a device file, or of the disk that holds a file or directory.

    Raises:
        TopologyError: the device does not exist, or is on no hardware.
        OSError: sysfs does not know it.
    """
    try:
        status = device.stat()
    except FileNotFoundError:
        raise TopologyError(f"{device}: the device does not exist") from None
    if stat.S_ISCHR(status.st_mode):
        kind, number = "char", status.st_rdev
    elif stat.S_ISBLK(status.st_mode):
        kind, number = "block", status.st_rdev
    elif stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
        kind, number = "block", status.st_dev
    else:
        raise TopologyError(f"{device}: expected a device, file or directory, found another kind of file")
    if os.major(number) == 0:  # tmpfs, overlay and the like
        raise TopologyError(f"{device}: is on a virtual device ({kind} 0:{os.minor(number)})")
    return Path(_real(f"{sysfs}/dev/{kind}/{os.major(number)}:{os.minor(number)}"))


def numa_nodes_of_files(devices: Iterable[Path], *, sysfs: Path) -> tuple[int, ...]:
    """The NUMA nodes that any of the device files is near to, ascending.

    Raises:
        TopologyError, OSError: as `device_directory` and `numa_nodes`.
    """
    nodes: set[int] = set()
    for device in devices:
        nodes.update(numa_nodes(device_directory(device, sysfs=sysfs), sysfs=sysfs))
    return tuple(sorted(nodes))


def numa_nodes(start: Path, *, sysfs: Path) -> tuple[int, ...]:
    """The NUMA nodes that the device of a sysfs directory is near to, ascending; empty when the platform names none.

    Raises:
        TopologyError: an attribute on the way holds nonsense.
        OSError: a directory or attribute on the way cannot be read.
    """
    root = os.path.realpath(sysfs)
    nodes: set[int] = set()
    seen: set[str] = set()
    waiting = [str(start)]
    while waiting:
        directory = _real(waiting.pop())
        if directory not in seen:
            seen.add(directory)
            nodes |= _climb(directory, root)
            waiting += _parts(directory, root)
    return tuple(sorted(nodes))


def _real(path: str) -> str:
    os.stat(path)  # only the kernel gives up on a long chain of links; realpath follows it until the stack ends
    return os.path.realpath(path, strict=True)


def _climb(directory: str, root: str) -> set[int]:
    """The nodes named on the way up. A number counts only together with a list of CPUs, here or above:
    some firmware writes the number of a socket instead, and drivers' own directories have only a copy.
    """
    nodes: set[int] = set()
    while directory.startswith(f"{root}/devices/"):
        nodes = _nodes(f"{directory}/numa_node") or nodes
        if _has_cpus(f"{directory}/local_cpulist"):
            return nodes
        directory = os.path.dirname(directory)
    return set()


def _parts(directory: str, root: str) -> Iterator[str]:
    """The devices that this one is made of: disks of an array, PCI functions of a VFIO group."""
    yield from _entries(f"{directory}/slaves", ignore=(FileNotFoundError, NotADirectoryError))
    parent, group = os.path.split(directory)
    if parent == f"{root}/devices/virtual/vfio":
        yield from _entries(f"{root}/kernel/iommu_groups/{group}/devices", ignore=(OSError,))


def _entries(directory: str, *, ignore: tuple[type[OSError], ...]) -> list[str]:
    try:
        return [f"{directory}/{name}" for name in os.listdir(directory)]
    except ignore:
        return []


def _nodes(attribute: str) -> set[int]:
    text = _text(attribute)
    if text in ("", "-1"):  # the kernel's NUMA_NO_NODE
        return set()
    nodes = {int(node) for node in text.split(",")} if NODE_LIST.fullmatch(text) else {-1}
    if not all(0 <= node <= LARGEST_NODE for node in nodes):
        raise TopologyError(f"{attribute}: expected a NUMA node from 0 to {LARGEST_NODE}, or -1, found {text[:64]!r}")
    return nodes


def _has_cpus(attribute: str) -> bool:
    text = _text(attribute)
    if text and not CPU_LIST.fullmatch(text):
        raise TopologyError(f"{attribute}: expected a list of CPUs such as 0-15,32, found {text[:64]!r}")
    return text != ""


def _text(attribute: str) -> str:
    try:
        return read_text(attribute)
    except FileNotFoundError:
        return ""
    except MalformedAttributeError as error:
        raise TopologyError(str(error)) from error
