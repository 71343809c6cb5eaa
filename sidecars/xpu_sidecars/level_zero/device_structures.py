"""Structures of a device as a whole and of its PCI link, as ze_api.h and zes_api.h lay them out."""

from ctypes import Array, Structure, c_int32, c_int64, c_uint8, c_uint32, c_uint64

from xpu_sidecars.level_zero.structures import HEADER, LONG_NAME, NAME, Typed, check


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
    uuid: Array[c_uint8]
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


check(
    {
        CoreDeviceProperties: 368,
        DeviceProperties: 776,
        DeviceExtProperties: 40,
        DeviceState: 24,
        PciSpeed: 16,
        PciProperties: 56,
        PciState: 48,
        PciStats: 56,
    }
)
