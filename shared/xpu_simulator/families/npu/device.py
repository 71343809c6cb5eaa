"""An NPU of a processor: its description, its entries in sysfs and /dev, its kernel events.

Values only; `tree.py` writes them. The layout is that of Linux 6 with udev.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from xpu_simulator.device import Claim
from xpu_simulator.entries import Directory, Entry, Link
from xpu_simulator.fields import Name, NumaNode, PciAddress, PciId, numbered
from xpu_simulator.kernel_device import SYS, KernelDevice
from xpu_simulator.pci import INTEL, PciFunction
from xpu_simulator.uevents import Uevent

ACCEL_CLASS = SYS / "class/accel"
ACCEL_MAJOR = 261
PROCESSING_ACCELERATOR = 0x120000  # its PCI class
LAST_NUMBER = 127
MODELS = {
    "meteor-lake": 0x7D1D,
    "arrow-lake": 0xAD1D,
    "lunar-lake": 0x643E,
    "panther-lake": 0xB03E,
    "wildcat-lake": 0xFD3E,
    "nova-lake": 0xD71D,
}
ModelName = Literal["meteor-lake", "arrow-lake", "lunar-lake", "panther-lake", "wildcat-lake", "nova-lake"]


def _pci_address(data: dict[str, Any]) -> str:
    return f"{data['number']:04x}:00:0b.0"


class Npu(BaseModel):
    """One accelerator. `Npu()` is accel0 of a Lunar Lake."""

    title: ClassVar[str] = "NPUs"
    model_config = ConfigDict(extra="forbid", frozen=True)

    number: Annotated[int, Field(strict=True, ge=0, le=LAST_NUMBER)] = 0  # of /dev/accel/accel0
    name: Name = Field(default_factory=lambda data: f"npu{data['number']}")  # what scenarios call it
    model: ModelName = "lunar-lake"
    vendor: PciId = INTEL
    pci_id: PciId = Field(default_factory=lambda data: MODELS[data["model"]])
    driver: Name = "intel_vpu"
    numa_node: NumaNode = -1
    pci_address: PciAddress = Field(default_factory=_pci_address)

    @property
    def drivers(self) -> Sequence[str]:
        return tuple(dict.fromkeys((self.driver, "intel_vpu", "vfio-pci")))

    @property
    def parts(self) -> Sequence[Self]:
        return (self,)

    def claims(self) -> Iterator[Claim]:
        yield Claim("accel", self.number)
        yield Claim("pci_address", self.pci_address)

    def on_bus(self, *, cpus_per_numa_node: int) -> Iterator[Entry]:
        yield from self._function.on_bus(cpus_per_numa_node=cpus_per_numa_node)

    def driven(self) -> Iterator[Entry]:
        yield from self._function.bound()
        for device in self._devices():
            yield Directory(self._function.path / "accel")
            yield Link(device.path / "device", self._function.path)
            yield from device.entries()
            yield device.file

    def udev_links(self) -> Iterator[Entry]:
        yield from ()

    def own_uevents(self, action: str) -> list[Uevent]:
        return self._function.uevents(action, driven=[device.added for device in self._devices()])

    def rebound(self, driver: str) -> Self:
        return self.model_copy(update={"driver": driver})

    @property
    def _function(self) -> PciFunction:
        return PciFunction(
            address=self.pci_address,
            vendor=self.vendor,
            device=self.pci_id,
            pci_class=PROCESSING_ACCELERATOR,
            driver=self.driver,
            numa_node=self.numa_node,
        )

    def _devices(self) -> Iterator[KernelDevice]:
        """Its one device; none when a driver has it that makes no accelerators."""
        if self.driver != "vfio-pci":
            yield KernelDevice(
                path=self._function.path / "accel" / f"accel{self.number}",
                subsystem=ACCEL_CLASS,
                number=f"{ACCEL_MAJOR}:{self.number}",
                node=f"accel/accel{self.number}",
                variables={"DEVTYPE": "accel_minor"},
            )


Npus = Annotated[list[Npu], numbered("number")]
