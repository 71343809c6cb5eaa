"""Frequencies of each domain, and why they are lower than requested."""

from collections.abc import Callable, Sequence
from ctypes import byref
from typing import TypeVar

from xpu_shared.telemetry.kinds import FrequencyKind, ThrottleReason
from xpu_shared.telemetry.readings import FrequencyDomain
from xpu_sidecars.level_zero.calls import Calls
from xpu_sidecars.level_zero.component_structures import (
    FrequencyProperties,
    FrequencyRange,
    FrequencyState,
    FrequencyThrottleTime,
)
from xpu_sidecars.level_zero.formulas import hertz, share, volts
from xpu_sidecars.level_zero.groups.component import Components, DeviceHandle, Rate, kind_of, place

V = TypeVar("V")

KINDS = (FrequencyKind.GPU, FrequencyKind.MEMORY, FrequencyKind.MEDIA)
UNTHROTTLED: frozenset[ThrottleReason] = frozenset()
RANGE_PERIOD = 60.0  # seconds between looks at the range, which only an administrator changes


class _Domain:
    def __init__(self, handle: int, subdevice: int | None) -> None:
        self.described = False
        self._handle = handle
        self._subdevice = subdevice
        self._kind = FrequencyKind.UNKNOWN
        self._range = FrequencyRange(-1.0, -1.0)
        self._range_at = float("-inf")
        self._state = FrequencyState()
        self._throttled = FrequencyThrottleTime()
        self._rate = Rate(share)

    def describe(self, calls: Calls) -> bool:
        properties = FrequencyProperties()
        self.described = calls.ask("zesFrequencyGetProperties", self._handle, byref(properties))
        if self.described:
            self._subdevice = place(properties, self._subdevice)
            self._kind = kind_of(KINDS, properties.type, FrequencyKind.UNKNOWN)
            self._range = FrequencyRange(properties.min, properties.max)  # of the hardware, until the driver tells more
        return self.described

    def read(self, calls: Calls) -> FrequencyDomain:
        if calls.now - self._range_at >= RANGE_PERIOD:
            self._range_at = calls.now
            new = FrequencyRange()
            if calls.ask_for_more("zesFrequencyGetRange", self._handle, byref(new)):
                self._range = new
        state, throttled = self._state, self._throttled
        alive = calls.ask("zesFrequencyGetState", self._handle, byref(state))
        ratio = None
        if calls.ask_for_more("zesFrequencyGetThrottleTime", self._handle, byref(throttled)):
            ratio = self._rate.of(calls, throttled.throttleTime, throttled.timestamp)
        return FrequencyDomain(
            kind=self._kind,
            subdevice=self._subdevice,
            actual_hertz=_known(calls, state.actual, hertz) if alive else None,
            requested_hertz=_known(calls, state.request, hertz) if alive else None,
            min_hertz=hertz(self._range.min),
            max_hertz=hertz(self._range.max),
            volts=_known(calls, state.currentVoltage, volts) if alive else None,
            throttle_reasons=_reasons(state.throttleReasons) if alive else None,
            throttled_ratio=ratio,
        )


def _known(calls: Calls, value: float, unit: Callable[[float], V | None]) -> V | None:
    """A measurement; a negative one is not known, and one that cannot be is dropped and counted."""
    found = unit(value)
    if found is None and not value < 0:
        calls.drop()
    return found


def _reasons(bits: int) -> frozenset[ThrottleReason]:
    return frozenset(reason for bit, reason in enumerate(ThrottleReason) if bits >> bit & 1) if bits else UNTHROTTLED


class Frequencies:
    def __init__(self, devices: Sequence[DeviceHandle]) -> None:
        self._domains = Components("zesDeviceEnumFrequencyDomains", devices, _Domain)

    def sample(self, calls: Calls) -> tuple[FrequencyDomain, ...]:
        return tuple(domain.read(calls) for domain in self._domains.ready(calls))
