"""What a DSA or IAA device looks like to the rest of a node: its entries in sysfs and /dev, its kernel events.

Values only; `tree.py` writes them. The layout is that of Linux 6 with udev.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from xpu_simulator.device import Claim
from xpu_simulator.entries import Entry, Link
from xpu_simulator.families.idxd.description import IdxdDescription, every_second, pci_address
from xpu_simulator.families.idxd.layout import IdxdLayout
from xpu_simulator.families.idxd.state import WorkQueue
from xpu_simulator.fields import Name, PciAddress, PciId
from xpu_simulator.kernel_device import SYS, KernelDevice, devpath
from xpu_simulator.pci import PciFunction
from xpu_simulator.uevents import Uevent

BASE_SYSTEM_PERIPHERAL = 0x088000  # the PCI class of both
# Majors that the kernel keeps for local use: no machine has real devices there, and opening one fails.
DSA_MAJOR, IAA_MAJOR, VFIO_MAJOR = 120, 121, 122


class IdxdDevice(IdxdDescription):
    """What DSA and IAA devices are alike in; `pci_id`, `pci_address` and `driver` are the subclasses' fields."""

    title: ClassVar[str]
    pci_id: PciId
    pci_address: PciAddress
    driver: str
    iommu_group: Annotated[int, Field(strict=True, ge=0, le=9999)] = Field(
        default_factory=lambda data: 40 + data["number"]
    )

    @property
    def drivers(self) -> Sequence[str]:
        return ("idxd", "vfio-pci")

    @property
    def parts(self) -> Sequence[Self]:
        return (self,)

    def claims(self) -> Iterator[Claim]:
        yield Claim("number", self.number)
        yield Claim("pci_address", self.pci_address)

    def on_bus(self, *, cpus_per_numa_node: int) -> Iterator[Entry]:
        yield from self.function.on_bus(cpus_per_numa_node=cpus_per_numa_node)
        group = SYS / "kernel/iommu_groups" / str(self.iommu_group)
        yield Link(group / "devices" / self.pci_address, self.function.path)
        yield Link(self.function.path / "iommu_group", group)

    def driven(self) -> Iterator[Entry]:
        yield from self.function.bound()
        if self.driver == "vfio-pci":
            yield from self._vfio.entries()
            yield self._vfio.file
            return
        yield from self._layout.entries()

    def udev_links(self) -> Iterator[Entry]:
        if self.driver == "idxd":
            yield from self._layout.udev_links()

    def own_uevents(self, action: str) -> list[Uevent]:
        if self.driver == "vfio-pci":
            return self.function.uevents(action, driven=[self._vfio.added])
        paths = [self.directory, *(self.directory / name for name, _ in self.idxd_state.directories())]
        added = [Uevent(action="add", devpath=devpath(path), subsystem="dsa") for path in paths]
        files = [self._layout.file(queue).added for queue in self._queues_with_files()]
        return self.function.uevents(action, driven=[*added, *files])

    def rebound(self, driver: str) -> Self:
        return self.model_copy(update={"driver": driver})

    @property
    def function(self) -> PciFunction:
        return PciFunction(
            address=self.pci_address,
            device=self.pci_id,
            pci_class=BASE_SYSTEM_PERIPHERAL,
            driver=self.driver,
            numa_node=self.numa_node,
        )

    @property
    def directory(self) -> PurePosixPath:
        return self.function.path / self.idxd_state.name

    @property
    def _vfio(self) -> KernelDevice:
        return KernelDevice(
            path=SYS / "devices/virtual/vfio" / str(self.iommu_group),
            subsystem=SYS / "class/vfio",
            number=f"{VFIO_MAJOR}:{self.iommu_group}",
            node=f"vfio/{self.iommu_group}",
            own_number=True,
        )

    @property
    def _layout(self) -> IdxdLayout:
        return IdxdLayout(self.idxd_state, self.directory)

    def _queues_with_files(self) -> Sequence[WorkQueue]:
        return self._layout.queues_with_files if self.driver == "idxd" else ()


class Dsa(IdxdDevice):
    """One DSA device. `Dsa()` is dsa0 of a Sapphire Rapids Xeon."""

    title: ClassVar[str] = "DSA"
    kind: ClassVar[str] = "dsa"
    major: ClassVar[int] = DSA_MAJOR

    name: Name = Field(default_factory=lambda data: f"dsa{data['number']}")
    pci_id: PciId = 0x0B25
    pci_address: PciAddress = Field(default_factory=lambda data: pci_address(data["number"], 1))
    driver: Literal["idxd", "vfio-pci"] = "idxd"


class Iaa(IdxdDevice):
    """One IAA device. `Iaa(number=1)` is iax1 of a Sapphire Rapids Xeon."""

    title: ClassVar[str] = "IAA"
    kind: ClassVar[str] = "iax"
    major: ClassVar[int] = IAA_MAJOR

    name: Name = Field(default_factory=lambda data: f"iax{data['number']}")
    pci_id: PciId = 0x0CFE
    pci_address: PciAddress = Field(default_factory=lambda data: pci_address(data["number"], 2))
    driver: Literal["idxd", "vfio-pci"] = "idxd"


DsaDevices = Annotated[list[Dsa], every_second(0)]
IaaDevices = Annotated[list[Iaa], every_second(1)]
