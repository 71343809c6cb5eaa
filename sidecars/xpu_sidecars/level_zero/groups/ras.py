"""Errors that reliability counters tell of, correctable and uncorrectable."""

from collections.abc import Sequence
from ctypes import byref, c_uint32

from xpu_shared.telemetry.kinds import RasSeverity
from xpu_shared.telemetry.readings import RasErrorSet
from xpu_sidecars.level_zero.calls import Calls
from xpu_sidecars.level_zero.component_structures import RasProperties, RasState, RasStateExp
from xpu_sidecars.level_zero.groups.component import Components, DeviceHandle, kind_of, place

SEVERITIES = (RasSeverity.CORRECTABLE, RasSeverity.UNCORRECTABLE)
KEEP = 0  # not to clear what others count
MOST_CATEGORIES = 32


class _ErrorSet:
    def __init__(self, handle: int, subdevice: int | None) -> None:
        self.described = False
        self._handle = handle
        self._subdevice = subdevice
        self._severity = RasSeverity.UNKNOWN
        self._state = RasState()

    def describe(self, calls: Calls) -> bool:
        properties = RasProperties()
        self.described = calls.ask("zesRasGetProperties", self._handle, byref(properties))
        if self.described:
            self._subdevice = place(properties, self._subdevice)
            self._severity = kind_of(SEVERITIES, properties.type, RasSeverity.UNKNOWN)
        return self.described

    def read(self, calls: Calls) -> RasErrorSet:
        counts = self._newer(calls) or self._older(calls)
        return RasErrorSet(
            severity=self._severity,
            subdevice=self._subdevice,
            resets=counts.get(0),
            programming_errors=counts.get(1),
            driver_errors=counts.get(2),
            compute_errors=counts.get(3),
            non_compute_errors=counts.get(4),
            cache_errors=counts.get(5),
            display_errors=counts.get(6),
            memory_errors=counts.get(7),
            scale_errors=counts.get(8),
            l3_fabric_errors=counts.get(9),
        )

    def _newer(self, calls: Calls) -> dict[int, int]:
        """Counts by category, of drivers that know of memory and fabric too; others have none."""
        count = c_uint32(0)
        if not calls.ask_for_more("zesRasGetStateExp", self._handle, byref(count), None):
            return {}
        states = (RasStateExp * min(count.value, MOST_CATEGORIES))()
        count = c_uint32(len(states))
        if not states or not calls.ask_for_more("zesRasGetStateExp", self._handle, byref(count), states):
            return {}
        return {state.category: state.errorCounter for state in states[: min(count.value, len(states))]}

    def _older(self, calls: Calls) -> dict[int, int]:
        if not calls.ask("zesRasGetState", self._handle, KEEP, byref(self._state)):
            return {}
        return dict(enumerate(self._state.category))


class RasErrors:
    def __init__(self, devices: Sequence[DeviceHandle]) -> None:
        self._sets = Components("zesDeviceEnumRasErrorSets", devices, _ErrorSet)

    def sample(self, calls: Calls) -> tuple[RasErrorSet, ...]:
        return tuple(errors.read(calls) for errors in self._sets.ready(calls))
