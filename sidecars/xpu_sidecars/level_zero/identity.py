"""Which device a handle is: its PCI address, and what never changes of it."""

import uuid
from collections.abc import Iterable, Sequence
from ctypes import addressof, byref
from dataclasses import dataclass

from xpu_shared.telemetry.decoding import PCI_ADDRESS
from xpu_sidecars.level_zero import results
from xpu_sidecars.level_zero.device_structures import DeviceExtProperties, DeviceProperties, PciProperties
from xpu_sidecars.level_zero.library import Library, string
from xpu_sidecars.level_zero.results import Meaning

INTEGRATED, SUBDEVICE = 1, 2  # property flags
INVALID_ARGUMENT = 0x78000004
OTHER_KINDS = (2, 3, 4, 5)  # device types: CPU, FPGA, copy accelerator, VPU; drivers that fill in nothing leave 0


class UnidentifiedError(Exception):
    """A device does not say where it is; the text says why. `passing`: it may say so later."""

    def __init__(self, text: str, *, passing: bool = False) -> None:
        super().__init__(text)
        self.passing = passing


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    handle: int
    pci_address: str  # dddd:bb:dd.f
    subdevice: int | None = None  # the handle is that of a tile, with this number
    uuid: str = ""
    vendor_id: int | None = None
    device_id: int | None = None
    model: str = ""
    serial_number: str = ""
    driver_version: str = ""
    integrated: bool | None = None
    subdevices: int | None = None
    is_gpu: bool = True
    complete: bool = True  # there is no more to be learnt by asking again


def identify(library: Library, handle: int) -> Identity:
    """Ask a device who it is.

    Raises:
        UnidentifiedError: it has no PCI address, which is its name everywhere.
    """
    pci = PciProperties()
    if code := library["zesDevicePciGetProperties"](handle, byref(pci)):
        raise UnidentifiedError(f"zesDevicePciGetProperties: {results.text(code)}", passing=_passing(code))
    address = f"{pci.domain:04x}:{pci.bus:02x}:{pci.device:02x}.{pci.function:x}"
    if not PCI_ADDRESS.fullmatch(address):
        raise UnidentifiedError(f"zesDevicePciGetProperties: expected a PCI address, found {address}")
    found, extension = DeviceProperties(), DeviceExtProperties()
    found.core.stype = found.core.STYPE
    found.pNext = addressof(extension)
    code = library["zesDeviceGetProperties"](handle, byref(found))
    if code == INVALID_ARGUMENT:  # of a driver that takes no extension
        found.pNext = None
        code = library["zesDeviceGetProperties"](handle, byref(found))
    if code:
        return Identity(handle=handle, pci_address=address, complete=not _passing(code))
    flags = found.core.flags | extension.flags
    digits = bytes(found.core.uuid if any(found.core.uuid) else extension.uuid)
    return Identity(
        handle=handle,
        pci_address=address,
        subdevice=found.core.subdeviceId if flags & SUBDEVICE else None,
        uuid=str(uuid.UUID(bytes=digits)) if any(digits) else "",
        vendor_id=found.core.vendorId or None,
        device_id=found.core.deviceId or None,
        model=_known(string(found.modelName)) or string(found.core.name),
        serial_number=_known(string(found.serialNumber)),
        driver_version=_known(string(found.driverVersion)),
        integrated=bool(flags & INTEGRATED),
        subdevices=found.numSubdevices,
        is_gpu=found.core.type not in OTHER_KINDS,
    )


def _passing(code: int) -> bool:
    return results.meaning(code) not in (Meaning.PERMANENT, Meaning.PRIVILEGE)


def _known(value: str) -> str:
    """Drivers write `unknown` where they know nothing."""
    return "" if value.lower() == "unknown" else value


def merged(identities: Iterable[Identity]) -> dict[str, Sequence[Identity]]:
    """Handles by PCI address: the root device alone where there is one, else all its tiles."""
    devices: dict[str, list[Identity]] = {}
    for identity in identities:
        devices.setdefault(identity.pci_address, []).append(identity)
    return {
        address: [handle for handle in handles if handle.subdevice is None][:1] or handles
        for address, handles in sorted(devices.items())
    }
