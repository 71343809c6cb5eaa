"""SGX of a node: its description, its entries in sysfs and /dev, its kernel events.

Values only; `tree.py` writes them. The layout is that of Linux from 5.11 on.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from xpu_simulator.device import Claim
from xpu_simulator.entries import Attribute, Directory, Entry
from xpu_simulator.fields import Name
from xpu_simulator.kernel_device import SYS, KernelDevice
from xpu_simulator.uevents import Uevent

MISC_MAJOR = 10
FIRST_MINOR = 125  # dynamic in the kernel: any free one


class Sgx(BaseModel):
    """A node has it once or not at all; `Sgx()` is how most have it."""

    title: ClassVar[str] = "SGX"
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name = "sgx"  # what scenarios call it
    enclave: StrictBool = True  # whether there is /dev/sgx_enclave
    provision: StrictBool = True  # whether there is /dev/sgx_provision
    efi: StrictBool = True  # whether the machine was booted with EFI
    epc_bytes: list[Annotated[int, Field(strict=True, ge=0, lt=2**63)]] = []  # enclave memory of each NUMA node

    @property
    def driver(self) -> str:
        return "sgx"

    @property
    def drivers(self) -> Sequence[str]:
        return ()  # the driver is part of the kernel

    @property
    def parts(self) -> Sequence[Self]:
        return (self,)

    def claims(self) -> Iterator[Claim]:
        yield from ()

    def on_bus(self, *, cpus_per_numa_node: int) -> Iterator[Entry]:
        """The processor's firmware; enclaves are on no bus."""
        yield Directory(SYS / "firmware/acpi")
        if self.efi:
            yield Directory(SYS / "firmware/efi")
            yield Directory(SYS / "firmware/efi/efivars")
        for node, size in enumerate(self.epc_bytes):
            yield Attribute(SYS / f"devices/system/node/node{node}/x86/sgx_total_bytes", str(size))

    def driven(self) -> Iterator[Entry]:
        for device in self._devices():
            yield Directory(device.path)
            yield from device.entries()
        yield from (device.file for device in self._devices())

    def udev_links(self) -> Iterator[Entry]:
        yield from ()

    def own_uevents(self, action: str) -> list[Uevent]:
        appears = action in ("add", "bind")
        events = [device.added for device in self._devices()]
        return events if appears else [device.removed for device in reversed(list(self._devices()))]

    def rebound(self, driver: str) -> Self:
        raise ValueError(f"driver {driver!r}: SGX cannot be rebound")

    def _devices(self) -> Iterator[KernelDevice]:
        for place, (name, there) in enumerate((("sgx_enclave", self.enclave), ("sgx_provision", self.provision))):
            if there:
                yield KernelDevice(
                    path=SYS / "devices/virtual/misc" / name,
                    subsystem=SYS / "class/misc",
                    number=f"{MISC_MAJOR}:{FIRST_MINOR + place}",
                    node=name,
                )
