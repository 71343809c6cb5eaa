"""How busy each group of engines is."""

from collections.abc import Sequence
from ctypes import byref

from xpu_shared.telemetry.kinds import EngineKind
from xpu_shared.telemetry.readings import EngineGroup
from xpu_sidecars.level_zero.calls import Calls
from xpu_sidecars.level_zero.component_structures import EngineProperties, EngineStats
from xpu_sidecars.level_zero.formulas import share
from xpu_sidecars.level_zero.groups.component import Components, DeviceHandle, Rate, kind_of, place

KINDS = (
    EngineKind.ALL,
    EngineKind.COMPUTE_ALL,
    EngineKind.MEDIA_ALL,
    EngineKind.COPY_ALL,
    EngineKind.COMPUTE,
    EngineKind.RENDER,
    EngineKind.MEDIA_DECODE,
    EngineKind.MEDIA_ENCODE,
    EngineKind.COPY,
    EngineKind.MEDIA_ENHANCEMENT,
    EngineKind.THREE_D,
    EngineKind.THREE_D_RENDER_COMPUTE_ALL,
    EngineKind.RENDER_ALL,
    EngineKind.THREE_D_ALL,
    EngineKind.MEDIA_CODEC,
)


class _Engines:
    def __init__(self, handle: int, subdevice: int | None) -> None:
        self.described = False
        self._handle = handle
        self._subdevice = subdevice
        self._kind = EngineKind.UNKNOWN
        self._stats = EngineStats()
        self._rate = Rate(share)

    def describe(self, calls: Calls) -> bool:
        properties = EngineProperties()
        self.described = calls.ask("zesEngineGetProperties", self._handle, byref(properties))
        if self.described:
            self._subdevice = place(properties, self._subdevice)
            self._kind = kind_of(KINDS, properties.type, EngineKind.UNKNOWN)
        return self.described

    def read(self, calls: Calls) -> EngineGroup:
        utilisation = None
        if calls.ask("zesEngineGetActivity", self._handle, byref(self._stats)):
            utilisation = self._rate.of(calls, self._stats.activeTime, self._stats.timestamp)
        return EngineGroup(kind=self._kind, subdevice=self._subdevice, utilisation=utilisation)


class Engines:
    def __init__(self, devices: Sequence[DeviceHandle]) -> None:
        self._groups = Components("zesDeviceEnumEngineGroups", devices, _Engines)

    def sample(self, calls: Calls) -> tuple[EngineGroup, ...]:
        return tuple(group.read(calls) for group in self._groups.ready(calls))
