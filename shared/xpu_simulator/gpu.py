"""What a GPU looks like to the rest of a node: its entries in sysfs and /dev, its kernel events.

Values only; `tree.py` writes them. The layout is that of Linux 6 with udev. Four stages, because that is how a card
comes and goes: the PCI function, what a driver adds to it, the device files, and later udev's links.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from xpu_simulator.entries import Attribute, CharacterDevice, Directory, Entry, Link
from xpu_simulator.models import BY_PCI_ID
from xpu_simulator.node import Gpu
from xpu_simulator.uevents import Uevent

SYS = PurePosixPath("sys")
DRI = PurePosixPath("dev/dri")
VGA_CONTROLLER, DISPLAY_CONTROLLER = 0x030000, 0x038000  # PCI classes of cards with and without outputs
USUAL_VFS = 63  # that a card may have
DRM_MAJOR = 226
MEI_MAJOR = 240  # dynamic in the kernel: any free one
MEI_CLIENTS = ("mei-gscfi", "mei-gsc")  # a graphics security controller's firmware interfaces


def device_path(gpu: Gpu) -> PurePosixPath:
    """The directory of its PCI function, below the root bus and the bridges."""
    root_bus = (*gpu.bridges, gpu.pci_address)[0][: len("0000:00")]
    return SYS.joinpath("devices", f"pci{root_bus}", *gpu.bridges, gpu.pci_address)


def pci_class(gpu: Gpu) -> int:
    model = BY_PCI_ID.get(gpu.pci_id)
    return DISPLAY_CONTROLLER if model and not model.display else VGA_CONTROLLER


def pci_function(gpu: Gpu, *, cpus_per_numa_node: int) -> Iterator[Entry]:
    """What the PCI bus shows of it, whatever its driver."""
    device = device_path(gpu)
    first_cpu = max(gpu.numa_node, 0) * cpus_per_numa_node
    yield Directory(device)
    yield Attribute(device / "vendor", f"{gpu.vendor:#06x}")
    yield Attribute(device / "device", f"{gpu.pci_id:#06x}")
    yield Attribute(device / "class", f"{pci_class(gpu):#08x}")
    yield Attribute(device / "numa_node", str(gpu.numa_node))
    yield Attribute(device / "local_cpulist", f"{first_cpu}-{first_cpu + cpus_per_numa_node - 1}")
    yield Link(device / "subsystem", SYS / "bus/pci")
    yield Link(SYS / "bus/pci/devices" / gpu.pci_address, device)
    if gpu.vfs is not None:
        yield Attribute(device / "sriov_totalvfs", str(max(gpu.vfs, USUAL_VFS)))
        yield Attribute(device / "sriov_numvfs", str(gpu.vfs))
    for number, function in enumerate(gpu.virtual_functions):
        yield Link(device / f"virtfn{number}", device_path(function))
        yield from pci_function(function, cpus_per_numa_node=cpus_per_numa_node)
        yield Link(device_path(function) / "physfn", device)


def bound(gpu: Gpu) -> Iterator[Entry]:
    """What a driver adds when it is bound; each card's link in class/drm comes last, when all of it is there."""
    device = device_path(gpu)
    driver = SYS / "bus/pci/drivers" / gpu.driver
    yield Link(device / "driver", driver)
    yield Link(driver / gpu.pci_address, device)
    for tile in range(gpu.tiles) if gpu.driver == "xe" else ():
        yield Directory(device / f"tile{tile}")
        yield Directory(device / f"tile{tile}" / f"gt{tile}")
    for path, number in mei_devices(gpu).items():
        yield Directory(path.parents[1])
        yield from _class_device(path, f"{MEI_MAJOR}:{number}", node=path.name)
    if gpu.has_card:
        yield Directory(device / "drm")
    for path, minor in drm_devices(gpu).items():
        yield Directory(path)
        yield Link(path / "device", device)
        if path.name.startswith("card"):
            yield from _card_details(gpu, path)
        yield from _class_device(path, f"{DRM_MAJOR}:{minor}", node=f"dri/{path.name}")


def _card_details(gpu: Gpu, card: PurePosixPath) -> Iterator[Entry]:
    for tile in range(gpu.tiles) if gpu.driver == "i915" else ():
        yield Attribute(card / f"gt/gt{tile}/id", str(tile))
    if gpu.memory_bytes is not None:
        yield Attribute(card / "lmem_total_bytes", str(gpu.memory_bytes))
    if gpu.capabilities:
        debug = SYS / "kernel/debug/dri" / str(gpu.card)
        yield Directory(debug)
        lines = "\n".join(f"{key}: {value}" for key, value in gpu.capabilities.items())
        yield Attribute(debug / f"{gpu.driver}_capabilities", lines)
    if pci_class(gpu) == VGA_CONTROLLER:  # outputs stand beside the cards in class/drm, and are none
        connector = card / f"{card.name}-DP-1"
        yield Attribute(connector / "status", "disconnected")
        yield Link(SYS / "class/drm" / connector.name, connector)


def _class_device(path: PurePosixPath, number: str, *, node: str) -> Iterator[Entry]:
    """A device that has a node in /dev: the parent directory's name is that of its class."""
    major, minor = number.split(":")
    yield Attribute(path / "dev", number)
    yield Attribute(path / "uevent", f"MAJOR={major}\nMINOR={minor}\nDEVNAME={node}")
    yield Link(path / "subsystem", SYS / "class" / path.parent.name)
    yield Link(SYS / "dev/char" / number, path)
    yield Link(SYS / "class" / path.parent.name / path.name, path)


def drm_devices(gpu: Gpu) -> Mapping[PurePosixPath, int]:
    """Its DRM devices and their minor numbers; none when a driver without DRM has it."""
    if not gpu.has_card:
        return {}
    drm = device_path(gpu) / "drm"
    render = {} if gpu.render == "none" else {drm / f"renderD{gpu.render}": gpu.render}
    return {**render, drm / f"card{gpu.card}": gpu.card}  # the order in which the kernel registers them


def mei_devices(gpu: Gpu) -> Mapping[PurePosixPath, int]:
    """Its management engine devices and their numbers."""
    if not gpu.has_card:
        return {}
    domain, bus, rest = gpu.pci_address.split(":")
    device, function = rest.split(".")
    instance = int(domain, 16) << 16 | int(bus, 16) << 8 | int(device, 16) << 3 | int(function)
    return {
        device_path(gpu) / f"{gpu.driver}.{client}.{instance}" / "mei" / f"mei{number}": number
        for client, number in zip(MEI_CLIENTS, gpu.mei, strict=False)
    }


def device_nodes(gpu: Gpu) -> Iterator[CharacterDevice]:
    """The files the kernel makes in /dev."""
    yield from (CharacterDevice(DRI / path.name) for path in drm_devices(gpu))
    yield from (CharacterDevice(PurePosixPath("dev", path.name)) for path in mei_devices(gpu))


def by_path_links(gpu: Gpu) -> Iterator[Link]:
    """The links udev makes, some milliseconds after the kernel's event."""
    for path in drm_devices(gpu) if gpu.by_path else ():
        kind = "card" if path.name.startswith("card") else "render"
        yield Link(DRI / "by-path" / f"pci-{gpu.pci_address}-{kind}", DRI / path.name)


def uevents(gpu: Gpu, action: str) -> list[Uevent]:
    """The kernel's events when a card is added or removed, or a driver bound to it or unbound (`action`), in order."""
    device = device_path(gpu)
    pci = {
        "PCI_CLASS": f"{pci_class(gpu):X}",
        "PCI_ID": f"{gpu.vendor:04X}:{gpu.pci_id:04X}",
        "PCI_SLOT_NAME": gpu.pci_address,
    }
    driven = {"DRIVER": gpu.driver, **pci}
    match action:
        case "add":
            functions = [event for function in gpu.virtual_functions for event in uevents(function, "add")]
            return [_uevent("add", device, "pci", pci), *uevents(gpu, "bind"), *functions]
        case "bind":
            return [*_class_uevents(gpu, "add"), _uevent("bind", device, "pci", driven)]
        case "unbind":
            return [*reversed(_class_uevents(gpu, "remove")), _uevent("unbind", device, "pci", pci)]
        case "remove":
            functions = [event for function in reversed(gpu.virtual_functions) for event in uevents(function, "remove")]
            return [*functions, *uevents(gpu, "unbind"), _uevent("remove", device, "pci", pci)]
    raise ValueError(f"action {action!r}: add, bind, unbind or remove")


def _class_uevents(gpu: Gpu, action: str) -> list[Uevent]:
    drm = [
        _uevent(action, path, "drm", _node(DRM_MAJOR, minor, f"dri/{path.name}") | {"DEVTYPE": "drm_minor"})
        for path, minor in drm_devices(gpu).items()
    ]
    mei = [
        _uevent(action, path, "mei", _node(MEI_MAJOR, number, path.name)) for path, number in mei_devices(gpu).items()
    ]
    return drm + mei


def _node(major: int, minor: int, name: str) -> dict[str, str]:
    return {"MAJOR": str(major), "MINOR": str(minor), "DEVNAME": name}


def _uevent(action: str, path: PurePosixPath, subsystem: str, variables: Mapping[str, str]) -> Uevent:
    return Uevent(action=action, devpath=f"/{path.relative_to(SYS)}", subsystem=subsystem, variables=variables)
