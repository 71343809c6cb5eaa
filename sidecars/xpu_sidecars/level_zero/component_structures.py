"""Structures of a device's components, as zes_api.h lays them out."""

from ctypes import Array, Structure, c_double, c_int32, c_int64, c_uint8, c_uint32, c_uint64, c_void_p

from xpu_sidecars.level_zero.structures import HEADER, LOCATION, LONG_NAME, NAME, Typed, check

RAS_CATEGORIES = 7


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


class FabricPortConfig(Typed):
    STYPE = 0x18
    enabled: int
    beaconing: int
    _fields_ = (*HEADER, ("enabled", c_uint8), ("beaconing", c_uint8))


class FabricPortErrorCounters(Typed):
    STYPE = 0x2A
    linkFailureCount: int
    fwCommErrorCount: int
    fwErrorCount: int
    linkDegradeCount: int
    _fields_ = (
        *HEADER,
        ("linkFailureCount", c_uint64),
        ("fwCommErrorCount", c_uint64),
        ("fwErrorCount", c_uint64),
        ("linkDegradeCount", c_uint64),
    )


class FabricPortThroughput(Structure):
    timestamp: int
    rxCounter: int
    txCounter: int
    _fields_ = (("timestamp", c_uint64), ("rxCounter", c_uint64), ("txCounter", c_uint64))


check(
    {
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
        FabricPortId: 12,
        FabricPortSpeed: 16,
        FabricPortProperties: 328,
        FabricPortState: 72,
        FabricPortConfig: 24,
        FabricPortErrorCounters: 48,
        FabricPortThroughput: 24,
    }
)
