"""What sysfs says of a PCI function of a Dynamic Load Balancer: which kind it is, and whether it can work.

A function is named by its entry in class/dlb2, `dlb<n>`, which is also its file in /dev. Whatever is wrong with one
costs that one only.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from xpu_shared.device import Problem
from xpu_shared.kernel.sysfs import MalformedAttributeError, list_names, read_integer, read_text
from xpu_shared.kernel.topology import TopologyError, numa_nodes
from xpu_shared.kernel.vfio import PCI_ADDRESS

PF, VF = "pf", "vf"  # the device types
PHYSICAL_IDS = frozenset((0x2710, 0x2714))  # DLB 2.0 and 2.5
VIRTUAL_FUNCTION = re.compile(r"virtfn[0-9]+")
WITHOUT_RESOURCES = "no resources assigned"
WITHOUT_MAILBOX = "its mailbox is disabled after errors: func_bar_en is 0"


class RejectedFunctionError(Exception):
    """A function that is not offered; `expected` when that is an ordinary sight."""

    def __init__(self, reason: str, *, expected: bool = False) -> None:
        super().__init__(reason)
        self.expected = expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    name: str  # dlb3
    type: str
    directory: str  # of the PCI function, without links
    numa_nodes: tuple[int, ...] = ()
    fault: str = ""  # why it cannot work; empty when nothing is known against it

    @property
    def number(self) -> int:
        return int(self.name.removeprefix("dlb"))

    @property
    def address(self) -> str | None:
        """Its PCI address; None for a directory that has another name, as only simulated trees have."""
        name = Path(self.directory).name
        return name if PCI_ADDRESS.fullmatch(name) else None


def read_function(name: str, sysfs: Path, problems: list[Problem], *, by_pci_id: bool, with_vfs: bool) -> Function:
    """Describe the function of an entry in class/dlb2.

    Args:
        by_pci_id: a physical function without SR-IOV is told by its PCI id.
        with_vfs: a physical function is offered although it has virtual functions.
    Raises:
        RejectedFunctionError, OSError, MalformedAttributeError: it is not offered.
    """
    entry = sysfs / "class/dlb2" / name
    device = entry / "device"
    try:
        device.stat()
        directory = os.path.realpath(device, strict=True)
    except OSError as error:
        raise RejectedFunctionError(f"{device} leads nowhere: {error.strerror}") from None
    type_ = _type(name, device, problems, by_pci_id=by_pci_id, with_vfs=with_vfs)
    return Function(
        name=name,
        type=type_,
        directory=directory,
        numa_nodes=_numa_nodes(name, device, sysfs, problems),
        fault=_fault(name, directory, problems) if type_ == VF else "",
    )


def _type(name: str, device: Path, problems: list[Problem], *, by_pci_id: bool, with_vfs: bool) -> str:
    """Only a physical function has `sriov_numvfs`, and only where it may have virtual functions."""
    attribute = device / "sriov_numvfs"
    try:
        enabled = read_integer(attribute)
    except FileNotFoundError:
        return _type_without_sriov(name, device, problems, by_pci_id=by_pci_id)
    if enabled < 0:
        raise MalformedAttributeError(attribute, expected="a number of virtual functions", found=str(enabled))
    if enabled > 0 and not with_vfs:
        raise RejectedFunctionError(f"it has {enabled} virtual functions, which are offered instead", expected=True)
    return PF


def _type_without_sriov(name: str, device: Path, problems: list[Problem], *, by_pci_id: bool) -> str:
    device.stat()  # a function that has just gone has no attributes either
    try:
        physical = read_integer(device / "device") in PHYSICAL_IDS
    except (OSError, MalformedAttributeError):
        return VF  # nothing says otherwise
    if physical and by_pci_id:
        return PF
    if physical:
        text = "offered as vf: its PCI id is a physical function's, but it has no SR-IOV; --classify=pci-id makes it pf"
        problems.append(Problem(subject=name, text=text))
    return VF


def _numa_nodes(name: str, device: Path, sysfs: Path, problems: list[Problem]) -> tuple[int, ...]:
    try:
        return numa_nodes(device, sysfs=sysfs) or _own_numa_node(device, sysfs)
    except (TopologyError, MalformedAttributeError, OSError) as error:
        problems.append(Problem(subject=name, text=f"no NUMA node is told: {error}"))
        return ()


def _own_numa_node(device: Path, sysfs: Path) -> tuple[int, ...]:
    """What the function itself says, where it is not below sysfs/devices and nothing can be climbed."""
    if os.path.realpath(device).startswith(f"{os.path.realpath(sysfs)}/devices/"):
        return ()
    try:
        node = read_integer(device / "numa_node")
    except FileNotFoundError:
        return ()
    return (node,) if node >= 0 else ()


def _fault(name: str, directory: str, problems: list[Problem]) -> str:
    """Why a virtual function cannot work, as far as sysfs says."""

    def is_zero(attribute: Callable[[], str | None]) -> bool:
        try:
            path = attribute()
            return path is not None and read_integer(path) == 0
        except FileNotFoundError:
            return False
        except (OSError, MalformedAttributeError) as error:
            problems.append(Problem(subject=name, text=f"taken for healthy: {error}"))
            return False

    if is_zero(lambda: f"{directory}/total_resources/num_sched_domains"):
        return WITHOUT_RESOURCES
    if is_zero(lambda: _mailbox(directory)):
        return WITHOUT_MAILBOX
    return ""


def _mailbox(directory: str) -> str | None:
    """The attribute of its physical function that says whether its mailbox works; None when it has no such."""
    physical = os.path.realpath(f"{directory}/physfn", strict=True)
    for link in filter(VIRTUAL_FUNCTION.fullmatch, list_names(physical)):
        if os.path.realpath(f"{physical}/{link}") == directory:
            return f"{physical}/vf{link.removeprefix('virtfn')}_resources/func_bar_en"
    return None


def device_number(name: str, sysfs: Path) -> str | None:
    """The driver's `<major>:<minor>`; None when it does not say.

    Raises:
        OSError, MalformedAttributeError
    """
    try:
        return read_text(sysfs / "class/dlb2" / name / "dev")
    except FileNotFoundError:
        return None
