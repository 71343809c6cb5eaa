"""The Level-Zero loader as Python calls: opened by name, with the types of every argument.

Edges only: nothing here decides. ctypes releases the GIL during a call, so one that hangs stops only its own thread.
"""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from ctypes import POINTER, c_double, c_uint8, c_uint32, c_void_p
from typing import Any

from xpu_sidecars.level_zero import component_structures as components
from xpu_sidecars.level_zero import device_structures as devices
from xpu_sidecars.level_zero.results import UNSUPPORTED_FEATURE

Function = Callable[..., int]
MOST_HANDLES = 1024  # of one kind: a larger count is taken for this

_COUNT = POINTER(c_uint32)
_HANDLES = POINTER(c_void_p)
_ENUMERATE = (c_void_p, _COUNT, _HANDLES)
CORE = ("zeInit", "zeDriverGet", "zeDeviceGet")
SYSMAN = ("zesInit", "zesDriverGet", "zesDeviceGet")

# Handles are pointers: without these types ctypes would cut them to 32 bits.
PROTOTYPES: Mapping[str, Sequence[Any]] = {
    "zesInit": (c_uint32,),
    "zesDriverGet": (_COUNT, _HANDLES),
    "zesDeviceGet": _ENUMERATE,
    "zeInit": (c_uint32,),
    "zeDriverGet": (_COUNT, _HANDLES),
    "zeDeviceGet": _ENUMERATE,
    "zeDeviceGetProperties": (c_void_p, POINTER(devices.CoreDeviceProperties)),
    "zesDeviceGetProperties": (c_void_p, POINTER(devices.DeviceProperties)),
    "zesDeviceGetState": (c_void_p, POINTER(devices.DeviceState)),
    "zesDevicePciGetProperties": (c_void_p, POINTER(devices.PciProperties)),
    "zesDevicePciGetState": (c_void_p, POINTER(devices.PciState)),
    "zesDevicePciGetStats": (c_void_p, POINTER(devices.PciStats)),
    "zesDeviceEnumMemoryModules": _ENUMERATE,
    "zesMemoryGetProperties": (c_void_p, POINTER(components.MemoryProperties)),
    "zesMemoryGetState": (c_void_p, POINTER(components.MemoryState)),
    "zesMemoryGetBandwidth": (c_void_p, POINTER(components.MemoryBandwidth)),
    "zesDeviceEnumTemperatureSensors": _ENUMERATE,
    "zesTemperatureGetProperties": (c_void_p, POINTER(components.TemperatureProperties)),
    "zesTemperatureGetState": (c_void_p, POINTER(c_double)),
    "zesDeviceEnumPowerDomains": _ENUMERATE,
    "zesPowerGetProperties": (c_void_p, POINTER(components.PowerProperties)),
    "zesPowerGetEnergyCounter": (c_void_p, POINTER(components.EnergyCounter)),
    "zesPowerGetLimitsExt": (c_void_p, _COUNT, POINTER(components.PowerLimitExt)),
    "zesDeviceEnumFrequencyDomains": _ENUMERATE,
    "zesFrequencyGetProperties": (c_void_p, POINTER(components.FrequencyProperties)),
    "zesFrequencyGetState": (c_void_p, POINTER(components.FrequencyState)),
    "zesFrequencyGetRange": (c_void_p, POINTER(components.FrequencyRange)),
    "zesFrequencyGetThrottleTime": (c_void_p, POINTER(components.FrequencyThrottleTime)),
    "zesDeviceEnumEngineGroups": _ENUMERATE,
    "zesEngineGetProperties": (c_void_p, POINTER(components.EngineProperties)),
    "zesEngineGetActivity": (c_void_p, POINTER(components.EngineStats)),
    "zesDeviceEnumRasErrorSets": _ENUMERATE,
    "zesRasGetProperties": (c_void_p, POINTER(components.RasProperties)),
    "zesRasGetState": (c_void_p, c_uint8, POINTER(components.RasState)),
    "zesRasGetStateExp": (c_void_p, _COUNT, POINTER(components.RasStateExp)),
    "zesDeviceEnumFirmwares": _ENUMERATE,
    "zesFirmwareGetProperties": (c_void_p, POINTER(components.FirmwareProperties)),
    "zesDeviceEnumFabricPorts": _ENUMERATE,
    "zesFabricPortGetProperties": (c_void_p, POINTER(components.FabricPortProperties)),
    "zesFabricPortGetState": (c_void_p, POINTER(components.FabricPortState)),
    "zesFabricPortGetConfig": (c_void_p, POINTER(components.FabricPortConfig)),
    "zesFabricPortGetFabricErrorCounters": (c_void_p, POINTER(components.FabricPortErrorCounters)),
    "zesFabricPortGetThroughput": (c_void_p, POINTER(components.FabricPortThroughput)),
}


class LibraryError(Exception):
    """The library cannot be used; the text says why."""


class Library:
    """The loader's functions by name. One that this loader does not have answers UNSUPPORTED_FEATURE.

    Raises:
        LibraryError: there is no such library, or it is for another machine.
    """

    def __init__(self, name: str) -> None:
        try:
            loaded = ctypes.CDLL(name)
        except OSError as error:
            # The linker's text says what is wrong: no such file, another machine's, a missing symbol.
            raise LibraryError(f"library {name} cannot be loaded: {error}") from None
        self._functions = {symbol: _bound(loaded, symbol, types) for symbol, types in PROTOTYPES.items()}

    def __getitem__(self, symbol: str) -> Function:
        return self._functions[symbol]

    def missing(self, symbols: Sequence[str]) -> list[str]:
        """Which of these the library does not have."""
        return [symbol for symbol in symbols if self._functions[symbol] is unsupported]


def _bound(library: ctypes.CDLL, symbol: str, types: Sequence[Any]) -> Function:
    try:
        function = library[symbol]
    except AttributeError:
        return unsupported
    function.argtypes = types
    function.restype = c_uint32
    return function


def unsupported(*_: object) -> int:
    return UNSUPPORTED_FEATURE


def enumerated(function: Function, *before: object) -> tuple[int, list[int]]:
    """Call an enumerating function for the count and again for the handles: the result and what was found.

    When something went between the two calls it tries once more, and takes what is left.
    """
    result, counted, found = _enumerated(function, *before)
    if not result and len(found) < counted:
        result, _, found = _enumerated(function, *before)
    return result, found


def _enumerated(function: Function, *before: object) -> tuple[int, int, list[int]]:
    count = c_uint32(0)
    result = function(*before, count, None)
    wanted = min(count.value, MOST_HANDLES)
    if result or not wanted:
        return result, 0, []
    array = (c_void_p * wanted)()
    count = c_uint32(wanted)
    result = function(*before, count, array)
    return result, wanted, [] if result else [handle for handle in array[: min(count.value, wanted)] if handle]


def string(field: bytes) -> str:
    """A text out of a structure: up to its NUL or the field's end, whatever bytes are in it."""
    return field.decode(errors="replace").strip()
