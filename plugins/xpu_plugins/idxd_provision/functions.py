"""DSA functions on the PCI bus, and the driver that each is bound to: idxd, or vfio-pci for whole devices."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from xpu_plugins.idxd_provision.device import DEVICE, Device, read_device
from xpu_plugins.idxd_provision.planning import as_it_was, configuring, disabling, enabling
from xpu_shared.kernel.vfio import PCI_ADDRESS, address_order
from xpu_shared.provisioning.plan import Check, DevicePlan, RefusedError, Result, Unit, Write
from xpu_shared.provisioning.sysfs import Sysfs
from xpu_shared.provisioning.users import open_files

FUNCTIONS = "bus/pci/devices"
DRIVERS = "bus/pci/drivers"
INTEL = "0x8086"
VFIO = "vfio-pci"
NO_OVERRIDE = "(null)"  # as the kernel shows it
PATIENCE = 5.0  # seconds for a driver to take a function


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    address: str
    driver: str  # empty: none
    override: str  # what driver_override says; empty: nothing
    device: Device | None  # its idxd device, while it is bound to that driver


def read_functions(sysfs: Sysfs, ids: Collection[str], *, override: str | None = None) -> list[Function]:
    """The node's DSA functions by address. One that cannot be read has just gone.

    Args:
        override: only those whose driver_override says this.
    """
    try:
        entries = sysfs.names(FUNCTIONS)
    except FileNotFoundError:
        return []
    functions = []
    for address in sorted((entry for entry in entries if PCI_ADDRESS.fullmatch(entry)), key=address_order):
        place = f"{FUNCTIONS}/{address}"
        try:
            if sysfs.read(f"{place}/vendor") != INTEL or sysfs.read(f"{place}/device") not in ids:
                continue
            if override is None or _override(sysfs, place) == override:
                functions.append(_function(sysfs, address))
        except OSError:
            continue
    return functions


def _function(sysfs: Sysfs, address: str) -> Function:
    place = f"{FUNCTIONS}/{address}"
    names = [name for name in sysfs.names(place) if (match := DEVICE.fullmatch(name)) and match["kind"] == "dsa"]
    return Function(
        address=address,
        driver=_driver(sysfs, place),
        override=_override(sysfs, place),
        device=read_device(sysfs, names[0]) if names else None,
    )


def _driver(sysfs: Sysfs, place: str) -> str:
    try:
        return sysfs.target(f"{place}/driver")
    except OSError:
        return ""


def _override(sysfs: Sysfs, place: str) -> str:
    try:
        return sysfs.read(f"{place}/driver_override").replace(NO_OVERRIDE, "")
    except OSError:
        return ""


def check_driver(sysfs: Sysfs, driver: str, root: Path) -> None:
    """RefusedError when the driver is not there."""
    if not sysfs.exists(f"{DRIVERS}/{driver}"):
        raise RefusedError(f"{root / DRIVERS / driver} is missing: load the module {driver}")


def plan(function: Function, driver: str, sysfs: Sysfs, dev: Path, *, on_busy: str) -> DevicePlan:
    """What binds a function to the driver, if it is not."""
    taken = function.device is not None and driver != "idxd"
    name = function.device.name if function.device is not None and taken else function.address
    # Back at idxd an override of another driver would take effect when the function is next looked at.
    if function.driver == driver and (driver != "idxd" or function.override in ("", "idxd")):
        return DevicePlan(device=name, result=Result.UNCHANGED)
    users = _users(function, sysfs, dev) if function.driver != driver else ""
    if users and on_busy != "force":
        text = f"{name} {users}; pending change: driver {function.driver} → {driver}"
        return DevicePlan(device=name, result=Result.BUSY, messages=(text,), busy_is_wrong=on_busy == "fail")
    unit = Unit(writes=tuple(binding(function, driver)), undo=way_back(function))
    return DevicePlan(device=name, result=Result.CHANGE, units=(unit,))


def _users(function: Function, sysfs: Sysfs, dev: Path) -> str:
    """Who uses it, in words; empty: nobody, as far as can be seen."""
    if function.device is not None:
        return f"has {function.device.clients} clients" if function.device.clients else ""
    if function.driver != VFIO:
        return ""
    try:
        # vfio-pci enables a function when it is opened, and no later than its last user closes it again.
        if sysfs.read(f"{FUNCTIONS}/{function.address}/enable") != "0":
            return "is enabled: a program or virtual machine has it open"
    except OSError:  # older kernels have no such file, or the function is just going
        pass
    try:
        group = sysfs.target(f"{FUNCTIONS}/{function.address}/iommu_group")
    except OSError:
        return ""
    files = [dev / "vfio" / name for name in (group, f"noiommu-{group}")]
    for file, process in open_files(files).items():
        return f"is open as {file} by process {process}"
    return ""


def binding(function: Function, driver: str) -> Iterator[Write]:
    """From whatever driver it has to this one."""
    place = f"{FUNCTIONS}/{function.address}"
    if function.driver not in ("", driver):
        yield Write(path=f"{place}/driver/unbind", value=function.address, before=function.driver, checks=())
    override = "" if driver == "idxd" else driver
    if function.override != override:
        yield Write(path=f"{place}/driver_override", value=override, before=function.override, checks=())
    if function.driver != driver:
        check = Check(f"{DRIVERS}/{driver}/{function.address}", None, PATIENCE)
        yield Write(path=f"{DRIVERS}/{driver}/bind", value=function.address, before=function.driver, checks=(check,))


def way_back(before: Function) -> Callable[[Sysfs], Iterator[Write]]:
    """To the driver that it had, and at idxd to the queues that it had."""

    def undo(sysfs: Sysfs) -> Iterator[Write]:
        now = _function(sysfs, before.address)
        place = f"{FUNCTIONS}/{before.address}"
        if now.driver not in ("", before.driver):
            yield Write(path=f"{place}/driver/unbind", value=before.address, before=now.driver, checks=())
        if now.override != before.override:
            yield Write(path=f"{place}/driver_override", value=before.override, before=now.override, checks=())
        if before.driver and now.driver != before.driver:
            check = Check(f"{DRIVERS}/{before.driver}/{before.address}", None, PATIENCE)
            yield Write(path=f"{DRIVERS}/{before.driver}/bind", value=before.address, before="", checks=(check,))
        if before.device is not None:
            device = _function(sysfs, before.address).device
            if device is not None:
                wish = as_it_was(before.device)
                yield from disabling(device)
                device = read_device(sysfs, device.name)
                yield from configuring(device, wish, set_back=False)
                yield from enabling(device, wish, "idxd")

    return undo
