"""The structures that Sysman fills, as its C headers (zes_api.h, ze_api.h) lay them out on 64-bit machines.

Layouts only; `library.py` has the calls. They have not changed since API 1.4, so ours are as good as pyzes', which opens
one fixed path while it is imported, has no RAS, fabric, device state and firmware, and fails late on older loaders.
Sizes are checked when this module is imported: a wrong one would let the driver write over our memory.
"""

from collections.abc import Sequence
from ctypes import Array, Structure, c_char, c_double, c_int32, c_int64, c_uint8, c_uint32, c_uint64, c_void_p, sizeof
from typing import Any, ClassVar

Field = tuple[str, Any]
NAME = c_char * 64
LONG_NAME = c_char * 256
HEADER: Sequence[Field] = (("stype", c_uint32), ("pNext", c_void_p))
LOCATION: Sequence[Field] = (("onSubdevice", c_uint8), ("subdeviceId", c_uint32))
RAS_CATEGORIES = 7


class Typed(Structure):
    """A structure that begins with its own type and a pointer to an extension; both are set when it is made."""

    STYPE: ClassVar[int]
    stype: int
    pNext: int | None  # noqa: N815 - the header's name

    def __init__(self) -> None:
        super().__init__()
        self.stype = self.STYPE


class CoreDeviceProperties(Typed):
    STYPE = 0x3
    type: int
    vendorId: int
    deviceId: int
    flags: int
    subdeviceId: int
    uuid: Array[c_uint8]
    name: bytes
    _fields_ = (
        *HEADER,
        ("type", c_uint32),
        ("vendorId", c_uint32),
        ("deviceId", c_uint32),
        ("flags", c_uint32),
        ("subdeviceId", c_uint32),
        ("coreClockRate", c_uint32),
        ("maxMemAllocSize", c_uint64),
        ("maxHardwareContexts", c_uint32),
        ("maxCommandQueuePriority", c_uint32),
        ("numThreadsPerEU", c_uint32),
        ("physicalEUSimdWidth", c_uint32),
        ("numEUsPerSubslice", c_uint32),
        ("numSubslicesPerSlice", c_uint32),
        ("numSlices", c_uint32),
        ("timerResolution", c_uint64),
        ("timestampValidBits", c_uint32),
        ("kernelTimestampValidBits", c_uint32),
        ("uuid", c_uint8 * 16),
        ("name", LONG_NAME),
    )


class DeviceProperties(Typed):
    STYPE = 0x1
    core: CoreDeviceProperties
    numSubdevices: int
    serialNumber: bytes
    modelName: bytes
    driverVersion: bytes
    _fields_ = (
        *HEADER,
        ("core", CoreDeviceProperties),
        ("numSubdevices", c_uint32),
        ("serialNumber", NAME),
        ("boardNumber", NAME),
        ("brandName", NAME),
        ("modelName", NAME),
        ("vendorName", NAME),
        ("driverVersion", NAME),
    )


class DeviceExtProperties(Typed):
    """Chained to `DeviceProperties.pNext`; drivers before API 1.7 leave it as it is."""

    STYPE = 0x2D
    flags: int
    _fields_ = (*HEADER, ("uuid", c_uint8 * 16), ("type", c_uint32), ("flags", c_uint32))


class DeviceState(Typed):
    STYPE = 0x15
    reset: int
    repaired: int
    _fields_ = (*HEADER, ("reset", c_uint32), ("repaired", c_uint32))


class PciSpeed(Structure):
    gen: int
    width: int
    maxBandwidth: int
    _fields_ = (("gen", c_int32), ("width", c_int32), ("maxBandwidth", c_int64))


class PciProperties(Typed):
    STYPE = 0x2
    domain: int
    bus: int
    device: int
    function: int
    maxSpeed: PciSpeed
    haveBandwidthCounters: int
    haveReplayCounters: int
    _fields_ = (
        *HEADER,
        ("domain", c_uint32),
        ("bus", c_uint32),
        ("device", c_uint32),
        ("function", c_uint32),
        ("maxSpeed", PciSpeed),
        ("haveBandwidthCounters", c_uint8),
        ("havePacketCounters", c_uint8),
        ("haveReplayCounters", c_uint8),
    )


class PciState(Typed):
    STYPE = 0x17
    status: int
    qualityIssues: int
    stabilityIssues: int
    speed: PciSpeed
    _fields_ = (
        *HEADER,
        ("status", c_uint32),
        ("qualityIssues", c_uint32),
        ("stabilityIssues", c_uint32),
        ("speed", PciSpeed),
    )


class PciStats(Structure):
    timestamp: int
    replayCounter: int
    rxCounter: int
    txCounter: int
    _fields_ = (
        ("timestamp", c_uint64),
        ("replayCounter", c_uint64),
        ("packetCounter", c_uint64),
        ("rxCounter", c_uint64),
        ("txCounter", c_uint64),
        ("speed", PciSpeed),
    )


class MemoryProperties(Typed):
    STYPE = 0xB
    type: int
    onSubdevice: int
    subdeviceId: int
    location: int
    physicalSize: int
    _fields_ = (
        *HEADER,
        ("type", c_uint32),
        *LOCATION,
        ("location", c_uint32),
        ("physicalSize", c_uint64),
        ("busWidth", c_int32),
        ("numChannels", c_int32),
    )


class MemoryState(Typed):
    STYPE = 0x1E
    health: int
    free: int
    size: int
    _fields_ = (*HEADER, ("health", c_uint32), ("free", c_uint64), ("size", c_uint64))


class MemoryBandwidth(Structure):
    readCounter: int
    writeCounter: int
    timestamp: int
    _fields_ = (
        ("readCounter", c_uint64),
        ("writeCounter", c_uint64),
        ("maxBandwidth", c_uint64),
        ("timestamp", c_uint64),
    )


class TemperatureProperties(Typed):
    STYPE = 0x14
    type: int
    onSubdevice: int
    subdeviceId: int
    maxTemperature: float
    _fields_ = (
        *HEADER,
        ("type", c_uint32),
        *LOCATION,
        ("maxTemperature", c_double),
        ("isCriticalTempSupported", c_uint8),
        ("isThreshold1Supported", c_uint8),
        ("isThreshold2Supported", c_uint8),
    )


class PowerProperties(Typed):
    STYPE = 0xD
    onSubdevice: int
    subdeviceId: int
    _fields_ = (
        *HEADER,
        *LOCATION,
        ("canControl", c_uint8),
        ("isEnergyThresholdSupported", c_uint8),
        ("defaultLimit", c_int32),
        ("minLimit", c_int32),
        ("maxLimit", c_int32),
    )


class PowerExtProperties(Typed):
    """Chained to `PowerProperties.pNext`."""

    STYPE = 0x28
    domain: int
    _fields_ = (*HEADER, ("domain", c_uint32), ("defaultLimit", c_void_p))


class PowerLimitExt(Typed):
    STYPE = 0x27
    level: int
    limitUnit: int
    enabled: int
    limit: int
    _fields_ = (
        *HEADER,
        ("level", c_uint32),
        ("source", c_uint32),
        ("limitUnit", c_uint32),
        ("enabledStateLocked", c_uint8),
        ("enabled", c_uint8),
        ("intervalValueLocked", c_uint8),
        ("interval", c_int32),
        ("limitValueLocked", c_uint8),
        ("limit", c_int32),
    )


class EnergyCounter(Structure):
    energy: int
    timestamp: int
    _fields_ = (("energy", c_uint64), ("timestamp", c_uint64))


class FrequencyProperties(Typed):
    STYPE = 0x9
    type: int
    onSubdevice: int
    subdeviceId: int
    min: float
    max: float
    _fields_ = (
        *HEADER,
        ("type", c_uint32),
        *LOCATION,
        ("canControl", c_uint8),
        ("isThrottleEventSupported", c_uint8),
        ("min", c_double),
        ("max", c_double),
    )


class FrequencyState(Typed):
    STYPE = 0x1B
    currentVoltage: float
    request: float
    actual: float
    throttleReasons: int
    _fields_ = (
        *HEADER,
        ("currentVoltage", c_double),
        ("request", c_double),
        ("tdp", c_double),
        ("efficient", c_double),
        ("actual", c_double),
        ("throttleReasons", c_uint32),
    )


class FrequencyRange(Structure):
    min: float
    max: float
    _fields_ = (("min", c_double), ("max", c_double))


class FrequencyThrottleTime(Structure):
    throttleTime: int
    timestamp: int
    _fields_ = (("throttleTime", c_uint64), ("timestamp", c_uint64))


class EngineProperties(Typed):
    STYPE = 0x5
    type: int
    onSubdevice: int
    subdeviceId: int
    _fields_ = (*HEADER, ("type", c_uint32), *LOCATION)


class EngineStats(Structure):
    activeTime: int
    timestamp: int
    _fields_ = (("activeTime", c_uint64), ("timestamp", c_uint64))


class RasProperties(Typed):
    STYPE = 0xF
    type: int
    onSubdevice: int
    subdeviceId: int
    _fields_ = (*HEADER, ("type", c_uint32), *LOCATION)


class RasState(Typed):
    STYPE = 0x22
    category: Array[c_uint64]
    _fields_ = (*HEADER, ("category", c_uint64 * RAS_CATEGORIES))


class RasStateExp(Structure):
    category: int
    errorCounter: int
    _fields_ = (("category", c_uint32), ("errorCounter", c_uint64))


class FirmwareProperties(Typed):
    STYPE = 0x8
    name: bytes
    version: bytes
    _fields_ = (*HEADER, *LOCATION, ("canControl", c_uint8), ("name", NAME), ("version", NAME))


class FabricPortId(Structure):
    fabricId: int
    attachId: int
    portNumber: int
    _fields_ = (("fabricId", c_uint32), ("attachId", c_uint32), ("portNumber", c_uint8))


class FabricPortSpeed(Structure):
    bitRate: int
    width: int
    _fields_ = (("bitRate", c_int64), ("width", c_int32))


class FabricPortProperties(Typed):
    STYPE = 0x6
    model: bytes
    onSubdevice: int
    subdeviceId: int
    portId: FabricPortId
    maxRxSpeed: FabricPortSpeed
    maxTxSpeed: FabricPortSpeed
    _fields_ = (
        *HEADER,
        ("model", LONG_NAME),
        *LOCATION,
        ("portId", FabricPortId),
        ("maxRxSpeed", FabricPortSpeed),
        ("maxTxSpeed", FabricPortSpeed),
    )


class FabricPortState(Typed):
    STYPE = 0x19
    status: int
    qualityIssues: int
    failureReasons: int
    remotePortId: FabricPortId
    rxSpeed: FabricPortSpeed
    txSpeed: FabricPortSpeed
    _fields_ = (
        *HEADER,
        ("status", c_uint32),
        ("qualityIssues", c_uint32),
        ("failureReasons", c_uint32),
        ("remotePortId", FabricPortId),
        ("rxSpeed", FabricPortSpeed),
        ("txSpeed", FabricPortSpeed),
    )


class FabricPortThroughput(Structure):
    timestamp: int
    rxCounter: int
    txCounter: int
    _fields_ = (("timestamp", c_uint64), ("rxCounter", c_uint64), ("txCounter", c_uint64))


SIZES: dict[type[Structure], int] = {
    CoreDeviceProperties: 368,
    DeviceProperties: 776,
    DeviceExtProperties: 40,
    DeviceState: 24,
    PciProperties: 56,
    PciState: 48,
    PciStats: 56,
    MemoryProperties: 48,
    MemoryState: 40,
    MemoryBandwidth: 32,
    TemperatureProperties: 48,
    PowerProperties: 40,
    PowerExtProperties: 32,
    PowerLimitExt: 48,
    EnergyCounter: 16,
    FrequencyProperties: 48,
    FrequencyState: 64,
    FrequencyRange: 16,
    FrequencyThrottleTime: 16,
    EngineProperties: 32,
    EngineStats: 16,
    RasProperties: 32,
    RasState: 72,
    RasStateExp: 16,
    FirmwareProperties: 160,
    FabricPortProperties: 328,
    FabricPortState: 72,
    FabricPortThroughput: 24,
}
for _structure, _size in SIZES.items():
    if sizeof(_structure) != _size:  # not assert: it holds with python -O too
        raise ImportError(f"{_structure.__name__}: expected {_size} bytes as in the C header, found {sizeof(_structure)}")
