"""The monitoring resources: one device with the files of all cards, for programs that watch a whole node."""

import re
from collections.abc import Iterable
from pathlib import Path

from xpu_plugins.gpu.card import problem
from xpu_shared.device import Device, DeviceNode, Problem
from xpu_shared.kernel.sysfs import list_names

ID = "all"
MEI = re.compile(r"mei[0-9]+")


def mei_nodes(card: str, host_dev: Path, problems: list[Problem]) -> tuple[DeviceNode, ...]:
    """The files of the card's management engine, by which firmware versions are read.

    Sysfs names them as `device/<client>/mei/mei<N>`, with a client such as `xe.mei-gscfi.768`. Whether they exist
    cannot be looked at: the plugin's container may see no more of /dev than /dev/dri.
    """
    try:
        clients = [name for name in list_names(f"{card}/device") if ".mei-" in name]
        names = [name for client in clients for name in _names(f"{card}/device/{client}/mei") if MEI.fullmatch(name)]
    except OSError as error:
        problems.append(problem(card, f"monitored without its management engine: {error}"))
        return ()
    return tuple(DeviceNode(host_path=f"{host_dev}/{name}", container_path=f"/dev/{name}") for name in names)


def _names(directory: str) -> list[str]:
    try:
        return list_names(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []


def monitoring_device(nodes: Iterable[DeviceNode]) -> Device:
    """It names no NUMA node: near to all of them, it would be refused by a strict topology manager."""
    return Device(id=ID, nodes=tuple(dict.fromkeys(nodes)))
