"""What the driver says of the device as a whole: wedged, to be repaired."""

from collections.abc import Sequence
from ctypes import byref

from xpu_shared.telemetry.kinds import Repair
from xpu_shared.telemetry.readings import DeviceState
from xpu_sidecars.level_zero.calls import Calls
from xpu_sidecars.level_zero.device_structures import DeviceState as Structure
from xpu_sidecars.level_zero.groups.component import DeviceHandle, kind_of

WEDGED, REPAIR = 1, 2  # reset reasons
REPAIRS = (Repair.UNSUPPORTED, Repair.NOT_PERFORMED, Repair.PERFORMED)


class State:
    def __init__(self, devices: Sequence[DeviceHandle]) -> None:
        self._devices = devices
        self._structure = Structure()

    def sample(self, calls: Calls) -> DeviceState:
        """Of the device, which is wedged when one of its tiles is."""
        reasons: int | None = None
        repair = Repair.UNKNOWN
        for device in self._devices:
            if calls.ask("zesDeviceGetState", device.handle, byref(self._structure)):
                reasons = (reasons or 0) | self._structure.reset
                repair = kind_of(REPAIRS, self._structure.repaired, Repair.UNKNOWN)
        if reasons is None:
            return DeviceState()
        return DeviceState(wedged=bool(reasons & WEDGED), repair_needed=bool(reasons & REPAIR), repair=repair)
