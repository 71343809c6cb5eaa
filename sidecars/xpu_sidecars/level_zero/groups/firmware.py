"""Versions of the firmware on the card."""

from collections.abc import Sequence
from ctypes import byref

from xpu_shared.telemetry.readings import Firmware
from xpu_sidecars.level_zero.calls import Calls
from xpu_sidecars.level_zero.component_structures import FirmwareProperties
from xpu_sidecars.level_zero.groups.component import Components, DeviceHandle
from xpu_sidecars.level_zero.library import string


class _Firmware:
    described = True

    def __init__(self, handle: int, _subdevice: int | None) -> None:
        self._handle = handle

    def describe(self, _calls: Calls) -> bool:
        return True

    def read(self, calls: Calls) -> Firmware | None:
        found = FirmwareProperties()
        if not calls.ask("zesFirmwareGetProperties", self._handle, byref(found)):
            return None
        return Firmware(name=string(found.name), version=string(found.version))


class Firmwares:
    def __init__(self, devices: Sequence[DeviceHandle]) -> None:
        self._firmwares = Components("zesDeviceEnumFirmwares", devices, _Firmware)

    def sample(self, calls: Calls) -> tuple[Firmware, ...]:
        found = [firmware.read(calls) for firmware in self._firmwares.ready(calls)]
        return tuple(firmware for firmware in found if firmware)
