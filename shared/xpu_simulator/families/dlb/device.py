"""What a Dynamic Load Balancer looks like to the rest of a node: its entries in sysfs and /dev, its kernel events.

Values only; `tree.py` writes them. The layout is that of the driver's releases 7 and 8.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Self

from xpu_simulator.device import Claim
from xpu_simulator.entries import Attribute, Directory, Entry, Link
from xpu_simulator.families.dlb.description import TOTAL_VFS, DlbDescription, last_number
from xpu_simulator.fields import numbered
from xpu_simulator.kernel_device import SYS, KernelDevice
from xpu_simulator.pci import PciFunction, following_address
from xpu_simulator.uevents import Uevent

DLB_CLASS = SYS / "class/dlb2"
CO_PROCESSOR = 0x0B4000  # its PCI class
DLB_MAJOR = 123  # one that the kernel keeps for local use: no machine has real devices there, and opening one fails
DRIVER_VERSION = "8.5.2"


class Dlb(DlbDescription):
    """One load balancer. `Dlb()` is dlb0, a physical function that has no virtual ones."""

    title: ClassVar[str] = "DLB"

    @property
    def drivers(self) -> Sequence[str]:
        return ("dlb2", "vfio-pci")

    @property
    def parts(self) -> Sequence[Self]:
        return self, *self.virtual_functions

    @property
    def virtual_functions(self) -> Sequence[Self]:
        """They follow it in numbers and on the PCI bus, and have its driver."""
        return tuple(
            self.model_copy(
                update={
                    "number": self.number + place,
                    "name": f"{self.name}-vf{place - 1}",
                    "pci_address": following_address(self.pci_address, place),
                    "virtual": True,
                    "vfs": None,
                    "resources": self.share,
                }
            )
            for place in range(1, (self.vfs or 0) + 1)
        )

    def claims(self) -> Iterator[Claim]:
        for place, function in enumerate(self.parts):
            part = f"virtual function {place}" if place else ""
            yield Claim("DLB number", function.number, part)
            yield Claim("pci_address", function.pci_address, part)

    def on_bus(self, *, cpus_per_numa_node: int) -> Iterator[Entry]:
        path = self.function.path
        yield from self.function.on_bus(cpus_per_numa_node=cpus_per_numa_node)
        if self.vfs is not None and not self.virtual:
            yield Attribute(path / "sriov_totalvfs", str(TOTAL_VFS))
            yield Attribute(path / "sriov_numvfs", str(self.vfs))
        for place, function in enumerate(self.virtual_functions):
            yield Link(path / f"virtfn{place}", function.function.path)
            yield from function.on_bus(cpus_per_numa_node=cpus_per_numa_node)
            yield Link(function.function.path / "physfn", path)

    def driven(self) -> Iterator[Entry]:
        yield from self.function.bound()
        if self.driver != "dlb2":
            return
        path, device = self.function.path, self._device
        yield Attribute(path / "dev_id", str(self.number))
        yield Attribute(path / "driver_ver", DRIVER_VERSION)
        yield from _attributes(path / "total_resources", self.resources)
        given = {name: amount * (self.vfs or 0) for name, amount in self.share.items()}
        yield from _attributes(
            path / "avail_resources", {name: total - given[name] for name, total in self.resources.items()}
        )
        for place in range(self.vfs or 0):
            yield from _attributes(path / f"vf{place}_resources", {**self.share, "locked": 1, "func_bar_en": 1})
        yield Directory(path / "dlb2")
        yield Link(device.path / "device", path)
        yield from device.entries()
        yield device.file

    def udev_links(self) -> Iterator[Entry]:
        yield from ()

    def own_uevents(self, action: str) -> list[Uevent]:
        return self.function.uevents(action, driven=[self._device.added] if self.driver == "dlb2" else [])

    def rebound(self, driver: str) -> Self:
        return self.model_copy(update={"driver": driver})

    @property
    def function(self) -> PciFunction:
        return PciFunction(
            address=self.pci_address,
            device=self.pci_id,
            pci_class=CO_PROCESSOR,
            driver=self.driver,
            numa_node=self.numa_node,
        )

    @property
    def _device(self) -> KernelDevice:
        name = f"dlb{self.number}"
        return KernelDevice(
            path=self.function.path / "dlb2" / name,
            subsystem=DLB_CLASS,
            number=f"{DLB_MAJOR}:{self.number}",
            node=name,
            own_number=True,
        )


def _attributes(directory: PurePosixPath, values: Mapping[str, int]) -> Iterator[Entry]:
    yield Directory(directory)
    for name, value in values.items():
        yield Attribute(directory / name, str(value))


DlbDevices = Annotated[list[Dlb], numbered("number", last_number)]
