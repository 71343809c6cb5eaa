"""A load balancer's physical function as sysfs shows it, with its virtual ones: a value on which all is decided."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from xpu_shared.kernel.vfio import PCI_ADDRESS, address_order
from xpu_shared.provisioning.sysfs import Sysfs

FUNCTIONS = "bus/pci/devices"
DRIVER = "dlb2"
DRIVER_DIRECTORY = f"bus/pci/drivers/{DRIVER}"
# In the order in which they are written.
RESOURCES = (
    "num_atomic_inflights",
    "num_dir_credits",
    "num_dir_ports",
    "num_hist_list_entries",
    "num_ldb_credits",
    "num_ldb_ports",
    "num_ldb_queues",
    "num_sched_domains",
    "num_sn0_slots",
    "num_sn1_slots",
)
DECIMAL = re.compile(r"[0-9]{1,9}")

Amounts = Mapping[str, int]  # by resource


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualFunction:
    number: int  # k of virtfn<k>
    address: str
    driver: str  # empty: none
    locked: bool
    resources: Amounts
    node: str  # its name in class/dlb2 and /dev; empty: none

    @property
    def bound(self) -> bool:
        return bool(self.driver)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicalFunction:
    address: str
    most_vfs: int
    vfs: int  # sriov_numvfs
    totals: Amounts
    available: Amounts  # neither given to a virtual function nor in use
    functions: tuple[VirtualFunction, ...]
    autoprobe: bool  # whether the kernel binds a virtual function to a driver as soon as it is there
    following: tuple[int, int] | None  # how far the first virtual function is behind it, and each other one

    def path(self, name: str) -> str:
        return f"{FUNCTIONS}/{self.address}/{name}"

    def resource(self, number: int, name: str) -> str:
        return self.path(f"vf{number}_resources/{name}")

    def future_address(self, number: int) -> str | None:
        """Where a virtual function will be; None: sysfs does not say it."""
        if self.following is None:
            return None
        offset, stride = self.following
        domain, bus, device, function = re.split("[:.]", self.address)
        place = (int(bus, 16) << 8 | int(device, 16) << 3 | int(function)) + offset + number * stride
        return f"{domain}:{place >> 8:02x}:{place >> 3 & 0x1F:02x}.{place & 7}" if place <= 0xFFFF else None


class NotPhysicalError(Exception):
    """A function that can have no virtual ones, in words."""


def physical_functions(sysfs: Sysfs) -> list[str]:
    """The addresses of the physical functions that the driver has, ascending."""
    try:
        entries = sysfs.names(DRIVER_DIRECTORY)
    except FileNotFoundError:
        return []
    addresses = sorted((entry for entry in entries if PCI_ADDRESS.fullmatch(entry)), key=address_order)
    return [address for address in addresses if not problem(sysfs, address)]


def problem(sysfs: Sysfs, address: str) -> str:
    """Why a function can have no virtual ones under the driver; empty when it can."""
    place = f"{FUNCTIONS}/{address}"
    if not sysfs.exists(place):
        return "there is no such function"
    if sysfs.exists(f"{place}/physfn"):
        return "it is a virtual function"
    driver = _target(sysfs, f"{place}/driver")
    if driver != DRIVER and not sysfs.exists(f"{DRIVER_DIRECTORY}/{address}"):
        return f"it is bound to {driver or 'no driver'}, not to {DRIVER}"
    if not _number(sysfs, f"{place}/sriov_totalvfs"):
        return "it has no SR-IOV: sriov_totalvfs is 0 or missing"
    return ""


def read_physical_function(sysfs: Sysfs, address: str) -> PhysicalFunction:
    """Read it with its virtual functions; OSError when it has gone."""
    place = f"{FUNCTIONS}/{address}"
    offset, stride = _number(sysfs, f"{place}/sriov_offset"), _number(sysfs, f"{place}/sriov_stride")
    count = _number(sysfs, f"{place}/sriov_numvfs")
    if count is None:
        sysfs.read(f"{place}/sriov_numvfs")
    functions = [_virtual(sysfs, place, number) for number in range(count or 0)]
    return PhysicalFunction(
        address=address,
        most_vfs=_number(sysfs, f"{place}/sriov_totalvfs") or 0,
        vfs=count or 0,
        totals=_amounts(sysfs, f"{place}/total_resources"),
        available=_amounts(sysfs, f"{place}/avail_resources"),
        functions=tuple(function for function in functions if function is not None),
        autoprobe=_number(sysfs, f"{place}/sriov_drivers_autoprobe") != 0,
        following=(offset, stride) if offset and stride is not None else None,
    )


def _virtual(sysfs: Sysfs, parent: str, number: int) -> VirtualFunction | None:
    address = _target(sysfs, f"{parent}/virtfn{number}")
    if not PCI_ADDRESS.fullmatch(address):
        return None
    place = f"{FUNCTIONS}/{address}"
    try:
        nodes = [name for name in sysfs.names(f"{place}/dlb2") if re.fullmatch(r"dlb[0-9]+", name)]
    except OSError:
        nodes = []
    return VirtualFunction(
        number=number,
        address=address,
        driver=_target(sysfs, f"{place}/driver") or (DRIVER if nodes else ""),
        locked=_number(sysfs, f"{parent}/vf{number}_resources/locked") == 1,
        resources=_amounts(sysfs, f"{parent}/vf{number}_resources"),
        node=nodes[0] if nodes else "",
    )


def _amounts(sysfs: Sysfs, directory: str) -> Amounts:
    found = {name: _number(sysfs, f"{directory}/{name}") for name in RESOURCES}
    return {name: amount for name, amount in found.items() if amount is not None}


def _number(sysfs: Sysfs, path: str) -> int | None:
    try:
        text = sysfs.read(path)
    except OSError:
        return None
    return int(text) if DECIMAL.fullmatch(text) else None


def _target(sysfs: Sysfs, link: str) -> str:
    try:
        return sysfs.target(link)
    except OSError:
        return ""
