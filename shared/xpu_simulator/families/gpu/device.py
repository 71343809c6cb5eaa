"""What a GPU looks like to the rest of a node: its entries in sysfs and /dev, its kernel events.

Values only; `tree.py` writes them. The layout is that of Linux 6 with udev.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Self

from xpu_simulator.device import Claim
from xpu_simulator.entries import Attribute, Directory, Entry, Link
from xpu_simulator.families.gpu.description import GpuDescription
from xpu_simulator.families.gpu.models import BY_PCI_ID
from xpu_simulator.fields import numbered
from xpu_simulator.kernel_device import SYS, KernelDevice
from xpu_simulator.pci import PciFunction
from xpu_simulator.uevents import Uevent

DRI = PurePosixPath("dev/dri")
DRM_CLASS, MEI_CLASS = SYS / "class/drm", SYS / "class/mei"
VGA_CONTROLLER, DISPLAY_CONTROLLER = 0x030000, 0x038000  # PCI classes of cards with and without outputs
USUAL_VFS = 63  # that a card may have
DRM_MAJOR = 226
MEI_MAJOR = 240  # dynamic in the kernel: any free one
MEI_CLIENTS = ("mei-gscfi", "mei-gsc")  # a graphics security controller's firmware interfaces
USUAL_VFS = 63  # that a card may have


class Gpu(GpuDescription):
    """One card. `Gpu()` is a Flex 170 as card0."""

    title: ClassVar[str] = "GPUs"

    @property
    def parts(self) -> Sequence[Self]:
        return self, *self.virtual_functions

    def claims(self) -> Iterator[Claim]:
        yield from self._claims("")
        for number, function in enumerate(self.virtual_functions, start=1):
            yield from function._claims(f"virtual function {number}")

    def on_bus(self, *, cpus_per_numa_node: int) -> Iterator[Entry]:
        yield from self._function.on_bus(cpus_per_numa_node=cpus_per_numa_node)
        device = self._function.path
        if self.vfs is not None:
            yield Attribute(device / "sriov_totalvfs", str(max(self.vfs, USUAL_VFS)))
            yield Attribute(device / "sriov_numvfs", str(self.vfs))
        for number, function in enumerate(self.virtual_functions):
            yield Link(device / f"virtfn{number}", function._function.path)
            yield from function.on_bus(cpus_per_numa_node=cpus_per_numa_node)
            yield Link(function._function.path / "physfn", device)

    def driven(self) -> Iterator[Entry]:
        device = self._function.path
        yield from self._function.bound()
        for tile in range(self.tiles) if self.driver == "xe" else ():
            yield Directory(device / f"tile{tile}")
            yield Directory(device / f"tile{tile}" / f"gt{tile}")
        for mei in self._mei_devices():
            yield Directory(mei.path.parents[1])
            yield from mei.entries()
        if self.has_card:
            yield Directory(device / "drm")
        for drm in self._drm_devices():
            yield Directory(drm.path)
            yield Link(drm.path / "device", device)
            if drm.path.name.startswith("card"):
                yield from self._card_details(drm.path)
            yield from drm.entries()
        yield from (device.file for device in (*self._drm_devices(), *self._mei_devices()))

    def udev_links(self) -> Iterator[Entry]:
        for drm in self._drm_devices() if self.by_path else ():
            kind = "card" if drm.path.name.startswith("card") else "render"
            yield Link(DRI / "by-path" / f"pci-{self.pci_address}-{kind}", drm.file.path)

    def own_uevents(self, action: str) -> list[Uevent]:
        driven = [device.added for device in (*self._drm_devices(), *self._mei_devices())]
        return self._function.uevents(action, driven=driven)

    def rebound(self, driver: str) -> Self:
        return self.model_copy(update={"driver": driver})

    @property
    def _function(self) -> PciFunction:
        model = BY_PCI_ID.get(self.pci_id)
        return PciFunction(
            address=self.pci_address,
            vendor=self.vendor,
            device=self.pci_id,
            pci_class=DISPLAY_CONTROLLER if model and not model.display else VGA_CONTROLLER,
            driver=self.driver,
            numa_node=self.numa_node,
            bridges=self.bridges,
        )

    def _claims(self, part: str) -> Iterator[Claim]:
        if self.has_card:
            yield Claim("card", self.card, part)
            if self.render != "none":
                yield Claim("render", self.render, part)
            yield from (Claim("mei", number, part) for number in self.mei)
        yield Claim("pci_address", self.pci_address, part)

    def _drm_devices(self) -> Iterator[KernelDevice]:
        """In the order in which the kernel registers them; none when a driver without DRM has it."""
        if not self.has_card:
            return
        minors = {} if self.render == "none" else {f"renderD{self.render}": self.render}
        for name, minor in {**minors, f"card{self.card}": self.card}.items():
            yield KernelDevice(
                path=self._function.path / "drm" / name,
                subsystem=DRM_CLASS,
                number=f"{DRM_MAJOR}:{minor}",
                node=f"dri/{name}",
                variables={"DEVTYPE": "drm_minor"},
            )

    def _mei_devices(self) -> Iterator[KernelDevice]:
        """Its management engine devices."""
        if not self.has_card:
            return
        domain, bus, rest = self.pci_address.split(":")
        device, function = rest.split(".")
        instance = int(domain, 16) << 16 | int(bus, 16) << 8 | int(device, 16) << 3 | int(function)
        for client, number in zip(MEI_CLIENTS, self.mei, strict=False):
            yield KernelDevice(
                path=self._function.path / f"{self.driver}.{client}.{instance}" / "mei" / f"mei{number}",
                subsystem=MEI_CLASS,
                number=f"{MEI_MAJOR}:{number}",
                node=f"mei{number}",
            )

    def _card_details(self, card: PurePosixPath) -> Iterator[Entry]:
        for tile in range(self.tiles) if self.driver == "i915" else ():
            yield Attribute(card / f"gt/gt{tile}/id", str(tile))
        if self.memory_bytes is not None:
            yield Attribute(card / "lmem_total_bytes", str(self.memory_bytes))
        if self.capabilities:
            debug = SYS / "kernel/debug/dri" / str(self.card)
            yield Directory(debug)
            lines = "\n".join(f"{key}: {value}" for key, value in self.capabilities.items())
            yield Attribute(debug / f"{self.driver}_capabilities", lines)
        if self._function.pci_class == VGA_CONTROLLER:  # outputs stand beside the cards in class/drm, and are none
            connector = card / f"{card.name}-DP-1"
            yield Attribute(connector / "status", "disconnected")
            yield Link(DRM_CLASS / connector.name, connector)


def _last_card(entry: object, free: int) -> int:
    """The highest card number of an entry that is not yet checked."""
    if isinstance(entry, Gpu):
        return entry.card + (entry.vfs or 0)
    card, vfs = (entry.get("card"), entry.get("vfs") or 0) if isinstance(entry, Mapping) else (free, 0)
    return card + vfs if isinstance(card, int) and isinstance(vfs, int) else free


Gpus = Annotated[list[Gpu], numbered("card", _last_card)]
