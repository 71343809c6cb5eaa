"""Memory modules: health, use and bandwidth."""

from collections.abc import Sequence
from ctypes import byref

from xpu_shared.telemetry.kinds import MemoryHealth, MemoryKind, MemoryLocation
from xpu_shared.telemetry.readings import MemoryModule
from xpu_sidecars.level_zero.calls import Calls
from xpu_sidecars.level_zero.component_structures import MemoryBandwidth, MemoryProperties, MemoryState
from xpu_sidecars.level_zero.formulas import per_second
from xpu_sidecars.level_zero.groups.component import Components, DeviceHandle, Rate, kind_of, place

KINDS = {
    0: MemoryKind.HBM,
    1: MemoryKind.DDR,
    2: MemoryKind.DDR3,
    3: MemoryKind.DDR4,
    4: MemoryKind.DDR5,
    5: MemoryKind.LPDDR,
    6: MemoryKind.LPDDR3,
    7: MemoryKind.LPDDR4,
    8: MemoryKind.LPDDR5,
    9: MemoryKind.SRAM,
    10: MemoryKind.L1,
    11: MemoryKind.L3,
    12: MemoryKind.GRF,
    13: MemoryKind.SLM,
    14: MemoryKind.GDDR4,
    15: MemoryKind.GDDR5,
    16: MemoryKind.GDDR5X,
    17: MemoryKind.GDDR6,
    18: MemoryKind.GDDR6X,
    19: MemoryKind.GDDR7,
}
LOCATIONS = (MemoryLocation.SYSTEM, MemoryLocation.DEVICE)
HEALTHS = (
    MemoryHealth.UNKNOWN,
    MemoryHealth.OK,
    MemoryHealth.DEGRADED,
    MemoryHealth.CRITICAL,
    MemoryHealth.REPLACE,
)


class _Module:
    def __init__(self, handle: int, subdevice: int | None) -> None:
        self.described = False
        self._handle = handle
        self._subdevice = subdevice
        self._properties = MemoryProperties()
        self._state = MemoryState()
        self._bandwidth = MemoryBandwidth()
        self._rate = Rate(per_second)

    def describe(self, calls: Calls) -> bool:
        self.described = calls.ask_for_more("zesMemoryGetProperties", self._handle, byref(self._properties))
        if self.described:
            self._subdevice = place(self._properties, self._subdevice)
        return self.described

    def read(self, calls: Calls) -> MemoryModule:
        constant, state, bandwidth = self._properties, self._state, self._bandwidth
        alive = calls.ask("zesMemoryGetState", self._handle, byref(state))
        counted = calls.ask_for_more("zesMemoryGetBandwidth", self._handle, byref(bandwidth))
        throughput = None
        if counted:  # of both directions together, which wraps as each of them does
            total = bandwidth.readCounter + bandwidth.writeCounter
            throughput = self._rate.of(calls, total, bandwidth.timestamp)
        return MemoryModule(
            kind=KINDS.get(constant.type, MemoryKind.UNKNOWN) if self.described else MemoryKind.UNKNOWN,
            subdevice=self._subdevice,
            location=kind_of(LOCATIONS, constant.location, MemoryLocation.UNKNOWN)
            if self.described
            else MemoryLocation.UNKNOWN,
            health=kind_of(HEALTHS, state.health, MemoryHealth.UNKNOWN) if alive else MemoryHealth.UNKNOWN,
            physical_bytes=constant.physicalSize or None,
            size_bytes=(state.size or None) if alive else None,
            free_bytes=state.free if alive else None,
            bus_width_bits=constant.busWidth if constant.busWidth > 0 else None,
            channels=constant.numChannels if constant.numChannels > 0 else None,
            read_bytes=bandwidth.readCounter if counted else None,
            written_bytes=bandwidth.writeCounter if counted else None,
            max_bytes_per_second=(bandwidth.maxBandwidth or None) if counted else None,
            throughput_bytes_per_second=throughput,
        )


class Memory:
    def __init__(self, devices: Sequence[DeviceHandle]) -> None:
        self._modules = Components("zesDeviceEnumMemoryModules", devices, _Module)

    def sample(self, calls: Calls) -> tuple[MemoryModule, ...]:
        """A module that fails counts also when its driver does not tell what kind of module it is."""
        return tuple(module.read(calls) for module in self._modules.all(calls))
