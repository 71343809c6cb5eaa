"""A PCI function in sysfs and in the kernel's events, whatever kind of device it is."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from xpu_simulator.entries import Attribute, Directory, Entry, Link
from xpu_simulator.kernel_device import SYS, devpath
from xpu_simulator.uevents import Uevent

INTEL = 0x8086
LAST_BUS_NUMBER = 0xFFFF  # of a bus, device and function together


@dataclass(frozen=True, slots=True, kw_only=True)
class PciFunction:
    address: str  # 0000:17:00.0
    vendor: int = INTEL
    device: int
    pci_class: int  # with subclass and interface: 0x030000
    driver: str
    numa_node: int = -1  # -1: the platform names none
    bridges: Sequence[str] = ()  # addresses, from the root port down

    @property
    def path(self) -> PurePosixPath:
        """Its directory, below the root bus and the bridges."""
        root_bus = (*self.bridges, self.address)[0][: len("0000:00")]
        return SYS.joinpath("devices", f"pci{root_bus}", *self.bridges, self.address)

    def on_bus(self, *, cpus_per_numa_node: int) -> Iterator[Entry]:
        """What the PCI bus shows of it, whatever its driver."""
        first_cpu = max(self.numa_node, 0) * cpus_per_numa_node
        yield Directory(self.path)
        yield Attribute(self.path / "vendor", f"{self.vendor:#06x}")
        yield Attribute(self.path / "device", f"{self.device:#06x}")
        yield Attribute(self.path / "class", f"{self.pci_class:#08x}")
        yield Attribute(self.path / "numa_node", str(self.numa_node))
        yield Attribute(self.path / "local_cpulist", f"{first_cpu}-{first_cpu + cpus_per_numa_node - 1}")
        yield Link(self.path / "subsystem", SYS / "bus/pci")
        yield Link(SYS / "bus/pci/devices" / self.address, self.path)

    def bound(self) -> Iterator[Entry]:
        """Its links with its driver."""
        driver = SYS / "bus/pci/drivers" / self.driver
        yield Link(self.path / "driver", driver)
        yield Link(driver / self.address, self.path)

    def uevents(self, action: str, *, driven: Sequence[Uevent] = ()) -> list[Uevent]:
        """The kernel's events; `driven` are those, in order, by which its driver's devices are added."""
        bare = {
            "PCI_CLASS": f"{self.pci_class:X}",
            "PCI_ID": f"{self.vendor:04X}:{self.device:04X}",
            "PCI_SLOT_NAME": self.address,
        }
        bind = [*driven, self._uevent("bind", {"DRIVER": self.driver, **bare})]
        unbind = [*(replace(event, action="remove") for event in reversed(driven)), self._uevent("unbind", bare)]
        match action:
            case "add":
                return [self._uevent("add", bare), *bind]
            case "bind":
                return bind
            case "unbind":
                return unbind
            case "remove":
                return [*unbind, self._uevent("remove", bare)]
        raise ValueError(f"action {action!r}: add, bind, unbind or remove")

    def _uevent(self, action: str, variables: Mapping[str, str]) -> Uevent:
        return Uevent(action=action, devpath=devpath(self.path), subsystem="pci", variables=variables)


def following_address(pci_address: str, distance: int) -> str:
    """The PCI address `distance` functions further; virtual functions may be on the next bus."""
    domain, bus, device, function = re.split("[:.]", pci_address)
    number = (int(bus, 16) << 8 | int(device, 16) << 3 | int(function)) + distance
    if number > LAST_BUS_NUMBER:
        raise ValueError(f"there is no room for {distance} virtual functions behind {pci_address}")
    return f"{domain}:{number >> 8:02x}:{number >> 3 & 0x1F:02x}.{number & 7}"
