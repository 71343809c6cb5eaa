"""Temperatures, sensor by sensor."""

from collections.abc import Sequence
from ctypes import byref, c_double

from xpu_shared.telemetry.kinds import TemperatureKind
from xpu_shared.telemetry.readings import TemperatureSensor
from xpu_sidecars.level_zero.calls import Calls
from xpu_sidecars.level_zero.component_structures import TemperatureProperties
from xpu_sidecars.level_zero.formulas import celsius
from xpu_sidecars.level_zero.groups.component import Components, DeviceHandle, kind_of, place

KINDS = (
    TemperatureKind.GLOBAL,
    TemperatureKind.GPU,
    TemperatureKind.MEMORY,
    TemperatureKind.GLOBAL_MIN,
    TemperatureKind.GPU_MIN,
    TemperatureKind.MEMORY_MIN,
    TemperatureKind.GPU_BOARD,
    TemperatureKind.GPU_BOARD_MIN,
    TemperatureKind.VOLTAGE_REGULATOR,
)


class _Sensor:
    def __init__(self, handle: int, subdevice: int | None) -> None:
        self.described = False
        self._handle = handle
        self._subdevice = subdevice
        self._kind = TemperatureKind.UNKNOWN
        self._max: float | None = None
        self._value = c_double()

    def describe(self, calls: Calls) -> bool:
        properties = TemperatureProperties()
        self.described = calls.ask("zesTemperatureGetProperties", self._handle, byref(properties))
        if self.described:
            self._kind = kind_of(KINDS, properties.type, TemperatureKind.UNKNOWN)
            self._subdevice = place(properties, self._subdevice)
            most = celsius(properties.maxTemperature)
            self._max = most if most is not None and most > 0 else None  # -1: the driver does not know
        return self.described

    def read(self, calls: Calls) -> TemperatureSensor:
        value = None
        if calls.ask("zesTemperatureGetState", self._handle, byref(self._value)):
            value = celsius(self._value.value)
            if value is None:
                calls.drop()
        return TemperatureSensor(kind=self._kind, subdevice=self._subdevice, celsius=value, max_celsius=self._max)


class Temperatures:
    def __init__(self, devices: Sequence[DeviceHandle]) -> None:
        self._sensors = Components("zesDeviceEnumTemperatureSensors", devices, _Sensor)

    def sample(self, calls: Calls) -> tuple[TemperatureSensor, ...]:
        return tuple(sensor.read(calls) for sensor in self._sensors.ready(calls))
