"""Power and energy of each domain, and the limits that are set."""

from collections.abc import Sequence
from ctypes import addressof, byref, c_uint32

from xpu_shared.telemetry.kinds import PowerKind
from xpu_shared.telemetry.readings import PowerDomain
from xpu_sidecars.level_zero.calls import Calls
from xpu_sidecars.level_zero.component_structures import (
    EnergyCounter,
    PowerExtProperties,
    PowerLimitExt,
    PowerProperties,
)
from xpu_sidecars.level_zero.formulas import watts
from xpu_sidecars.level_zero.groups.component import Components, DeviceHandle, Rate, kind_of, place

KINDS = (
    PowerKind.UNKNOWN,
    PowerKind.CARD,
    PowerKind.PACKAGE,
    PowerKind.STACK,
    PowerKind.MEMORY,
    PowerKind.GPU,
)
SUSTAINED, BURST, PEAK = 1, 2, 3  # levels of limits
IN_WATTS = 2  # the unit of a limit that is not a current
MOST_LIMITS = 16
LIMITS_PERIOD = 60.0  # seconds between looks at limits, which only an administrator changes


class _Domain:
    def __init__(self, handle: int, subdevice: int | None) -> None:
        self.described = False
        self._handle = handle
        self._subdevice = subdevice
        self._kind = PowerKind.UNKNOWN
        self._energy = EnergyCounter()
        self._rate = Rate(watts)
        self._limits: dict[int, float] = {}  # W, by level
        self._limits_at = float("-inf")

    def describe(self, calls: Calls) -> bool:
        properties, extension = PowerProperties(), PowerExtProperties()
        properties.pNext = addressof(extension)
        self.described = calls.ask("zesPowerGetProperties", self._handle, byref(properties))
        if self.described:
            self._subdevice = place(properties, self._subdevice)
            self._kind = kind_of(KINDS, extension.domain, PowerKind.UNKNOWN)
        return self.described

    def read(self, calls: Calls) -> PowerDomain:
        if calls.now - self._limits_at >= LIMITS_PERIOD:
            self._limits, self._limits_at = self._read_limits(calls), calls.now
        joules = power = None
        if calls.ask("zesPowerGetEnergyCounter", self._handle, byref(self._energy)):
            joules = self._energy.energy / 1e6
            power = self._rate.of(calls, self._energy.energy, self._energy.timestamp)
        return PowerDomain(
            kind=self._kind,
            subdevice=self._subdevice,
            watts=power,
            energy_joules=joules,
            sustained_limit_watts=self._limits.get(SUSTAINED),
            burst_limit_watts=self._limits.get(BURST),
            peak_limit_watts=self._limits.get(PEAK),
        )

    def _read_limits(self, calls: Calls) -> dict[int, float]:
        count = c_uint32(0)
        if not calls.ask_for_more("zesPowerGetLimitsExt", self._handle, byref(count), None):
            return {}
        limits = (PowerLimitExt * min(count.value, MOST_LIMITS))()
        for limit in limits:  # an array's elements are not made by their constructor
            limit.stype = PowerLimitExt.STYPE
        count = c_uint32(len(limits))
        if not limits or not calls.ask_for_more("zesPowerGetLimitsExt", self._handle, byref(count), limits):
            return {}
        found = limits[: min(count.value, len(limits))]
        return {limit.level: limit.limit / 1000 for limit in found if limit.limitUnit == IN_WATTS and limit.enabled}


class Power:
    def __init__(self, devices: Sequence[DeviceHandle]) -> None:
        self._domains = Components("zesDeviceEnumPowerDomains", devices, _Domain)

    def sample(self, calls: Calls) -> tuple[PowerDomain, ...]:
        return tuple(domain.read(calls) for domain in self._domains.ready(calls))
