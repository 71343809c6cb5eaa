"""VFIO: how a PCI function bound to vfio-pci is handed to a program, and whether the kernel lets it be opened.

The unit is the IOMMU group. A program opens the group's file in /dev/vfio, and the kernel refuses when another
function of the group is still in the hands of an ordinary driver, or when the group is open already.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from xpu_shared.kernel.sysfs import MalformedAttributeError, read_link_name, read_text

DRIVER = "vfio-pci"
NO_IOMMU = "vfio-noiommu"  # the name of a group that the administrator allows without protection
CONTAINER = "vfio/vfio"  # the file in /dev that every user of a group opens too
GROUP = re.compile(r"[0-9]{1,9}")
# Drivers that leave their device alone: the kernel lets a group with them be opened.
HARMLESS_DRIVERS = frozenset({"pci-stub", "pcieport"})
PCI_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


@dataclass(frozen=True, slots=True, kw_only=True)
class IommuGroup:
    number: int
    protected: bool  # False: there is no IOMMU, and the function can reach all memory
    others: tuple[tuple[str, str], ...]  # PCI address and driver of its other functions; empty: no driver

    @property
    def file(self) -> str:
        """Its file below /dev."""
        return f"vfio/{self.number}" if self.protected else f"vfio/noiommu-{self.number}"

    @property
    def obstacles(self) -> tuple[tuple[str, str], ...]:
        """The functions whose drivers keep the group from being opened."""
        return tuple(
            (address, driver)
            for address, driver in self.others
            if driver and "vfio" not in driver and driver not in HARMLESS_DRIVERS
        )


def pci_addresses(sysfs: Path) -> list[str]:
    """The functions on the PCI bus, ascending; none where there is no such bus.

    Raises:
        OSError: they cannot be listed, or there is no sysfs.
    """
    try:
        names = os.listdir(sysfs / "bus/pci/devices")
    except FileNotFoundError:
        os.listdir(sysfs)
        return []
    return sorted((name for name in names if PCI_ADDRESS.fullmatch(name)), key=address_order)


def address_order(address: str) -> tuple[int, str]:
    """A sort key: domains may have more than four digits."""
    domain, _, rest = address.partition(":")
    return int(domain, base=16), rest


def driver_of(function: Path | str) -> str:
    """The name of the driver that a function is bound to; empty when it is bound to none."""
    try:
        return read_link_name(f"{function}/driver")
    except FileNotFoundError:
        return ""


def iommu_group(function: Path | str) -> IommuGroup:
    """The group of a function.

    Raises:
        OSError: it has none, or it cannot be read.
        MalformedAttributeError: its number is none.
    """
    link = f"{function}/iommu_group"
    name = read_link_name(link)
    if not GROUP.fullmatch(name):
        raise MalformedAttributeError(link, expected="a link to a group's number", found=name)
    own = os.path.basename(function)  # noqa: PTH119 - as above
    others = [(other, driver_of(f"{link}/devices/{other}")) for other in _members(link) if other != own]
    return IommuGroup(number=int(name), protected=_kind(link) != NO_IOMMU, others=tuple(others))


def _members(group: str) -> list[str]:
    try:
        return sorted(os.listdir(f"{group}/devices"))
    except FileNotFoundError:
        return []


def _kind(group: str) -> str:
    """The group's own name; most groups have none."""
    try:
        return read_text(f"{group}/name")
    except FileNotFoundError:
        return ""
