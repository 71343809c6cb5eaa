"""Layouts as the C headers have them: sizes, and where each field that is read sits."""

from ctypes import Structure, sizeof

import pytest

from xpu_sidecars.level_zero import component_structures as components
from xpu_sidecars.level_zero import device_structures as devices
from xpu_sidecars.level_zero.structures import Typed, check

# Of zes_api.h: type of the structure (0: it has no header), size, and offset:size of fields.
LAYOUTS: list[tuple[type[Structure], int, int, str]] = [
    (
        devices.CoreDeviceProperties,
        0x3,
        368,
        "type 16:4, vendorId 20:4, deviceId 24:4, flags 28:4, subdeviceId 32:4, coreClockRate 36:4, "
        "maxMemAllocSize 40:8, maxHardwareContexts 48:4, maxCommandQueuePriority 52:4, numThreadsPerEU 56:4, "
        "physicalEUSimdWidth 60:4, numEUsPerSubslice 64:4, numSubslicesPerSlice 68:4, numSlices 72:4, "
        "timerResolution 80:8, timestampValidBits 88:4, kernelTimestampValidBits 92:4, uuid 96:16, name 112:256",
    ),
    (
        devices.DeviceProperties,
        0x1,
        776,
        "core 16:368, numSubdevices 384:4, serialNumber 388:64, boardNumber 452:64, brandName 516:64, "
        "modelName 580:64, vendorName 644:64, driverVersion 708:64",
    ),
    (devices.DeviceExtProperties, 0x2D, 40, "uuid 16:16, type 32:4, flags 36:4"),
    (devices.DeviceState, 0x15, 24, "reset 16:4, repaired 20:4"),
    (
        devices.PciProperties,
        0x2,
        56,
        "domain 16:4, bus 20:4, device 24:4, function 28:4, maxSpeed 32:16, haveBandwidthCounters 48:1, "
        "havePacketCounters 49:1, haveReplayCounters 50:1",
    ),
    (devices.PciSpeed, 0, 16, "gen 0:4, width 4:4, maxBandwidth 8:8"),
    (devices.PciState, 0x17, 48, "status 16:4, qualityIssues 20:4, stabilityIssues 24:4, speed 32:16"),
    (
        devices.PciStats,
        0,
        56,
        "timestamp 0:8, replayCounter 8:8, packetCounter 16:8, rxCounter 24:8, txCounter 32:8, speed 40:16",
    ),
    (
        components.MemoryProperties,
        0xB,
        48,
        "type 16:4, onSubdevice 20:1, subdeviceId 24:4, location 28:4, physicalSize 32:8, busWidth 40:4, "
        "numChannels 44:4",
    ),
    (components.MemoryState, 0x1E, 40, "health 16:4, free 24:8, size 32:8"),
    (components.MemoryBandwidth, 0, 32, "readCounter 0:8, writeCounter 8:8, maxBandwidth 16:8, timestamp 24:8"),
    (
        components.TemperatureProperties,
        0x14,
        48,
        "type 16:4, onSubdevice 20:1, subdeviceId 24:4, maxTemperature 32:8, isCriticalTempSupported 40:1, "
        "isThreshold1Supported 41:1, isThreshold2Supported 42:1",
    ),
    (
        components.PowerProperties,
        0xD,
        40,
        "onSubdevice 16:1, subdeviceId 20:4, canControl 24:1, isEnergyThresholdSupported 25:1, defaultLimit 28:4, "
        "minLimit 32:4, maxLimit 36:4",
    ),
    (components.PowerExtProperties, 0x28, 32, "domain 16:4, defaultLimit 24:8"),
    (
        components.PowerLimitExt,
        0x27,
        48,
        "level 16:4, source 20:4, limitUnit 24:4, enabledStateLocked 28:1, enabled 29:1, intervalValueLocked 30:1, "
        "interval 32:4, limitValueLocked 36:1, limit 40:4",
    ),
    (components.EnergyCounter, 0, 16, "energy 0:8, timestamp 8:8"),
    (
        components.FrequencyProperties,
        0x9,
        48,
        "type 16:4, onSubdevice 20:1, subdeviceId 24:4, canControl 28:1, isThrottleEventSupported 29:1, min 32:8, "
        "max 40:8",
    ),
    (
        components.FrequencyState,
        0x1B,
        64,
        "currentVoltage 16:8, request 24:8, tdp 32:8, efficient 40:8, actual 48:8, throttleReasons 56:4",
    ),
    (components.FrequencyRange, 0, 16, "min 0:8, max 8:8"),
    (components.FrequencyThrottleTime, 0, 16, "throttleTime 0:8, timestamp 8:8"),
    (components.EngineProperties, 0x5, 32, "type 16:4, onSubdevice 20:1, subdeviceId 24:4"),
    (components.EngineStats, 0, 16, "activeTime 0:8, timestamp 8:8"),
    (components.RasProperties, 0xF, 32, "type 16:4, onSubdevice 20:1, subdeviceId 24:4"),
    (components.RasState, 0x22, 72, "category 16:56"),
    (components.RasStateExp, 0, 16, "category 0:4, errorCounter 8:8"),
    (
        components.FirmwareProperties,
        0x8,
        160,
        "onSubdevice 16:1, subdeviceId 20:4, canControl 24:1, name 25:64, version 89:64",
    ),
    (components.FabricPortId, 0, 12, "fabricId 0:4, attachId 4:4, portNumber 8:1"),
    (components.FabricPortSpeed, 0, 16, "bitRate 0:8, width 8:4"),
    (
        components.FabricPortProperties,
        0x6,
        328,
        "model 16:256, onSubdevice 272:1, subdeviceId 276:4, portId 280:12, maxRxSpeed 296:16, maxTxSpeed 312:16",
    ),
    (
        components.FabricPortState,
        0x19,
        72,
        "status 16:4, qualityIssues 20:4, failureReasons 24:4, remotePortId 28:12, rxSpeed 40:16, txSpeed 56:16",
    ),
    (components.FabricPortConfig, 0x18, 24, "enabled 16:1, beaconing 17:1"),
    (
        components.FabricPortErrorCounters,
        0x2A,
        48,
        "linkFailureCount 16:8, fwCommErrorCount 24:8, fwErrorCount 32:8, linkDegradeCount 40:8",
    ),
    (components.FabricPortThroughput, 0, 24, "timestamp 0:8, rxCounter 8:8, txCounter 16:8"),
]


@pytest.mark.parametrize(
    ("structure", "stype", "size", "fields"), LAYOUTS, ids=lambda value: getattr(value, "__name__", "")
)
def test_the_layout_is_that_of_the_header(structure: type[Structure], stype: int, size: int, fields: str) -> None:
    found = {
        name: f"{getattr(structure, name).offset}:{getattr(structure, name).size}" for name, *_ in structure._fields_
    }
    expected = dict(field.split(" ") for field in fields.split(", "))
    if stype:
        expected |= {"stype": "0:4", "pNext": "8:8"}

    assert (sizeof(structure), found) == (size, expected)
    assert getattr(structure, "STYPE", 0) == stype


def test_each_structure_is_in_the_table() -> None:
    declared = {
        value
        for module in (devices, components)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Structure)
    }
    assert declared - {Typed, Structure} == {structure for structure, *_ in LAYOUTS}


def test_a_structure_begins_with_its_type_and_no_extension() -> None:
    state = components.MemoryState()
    assert (state.stype, state.pNext) == (0x1E, None)


def test_a_wrong_layout_is_refused_at_import() -> None:
    with pytest.raises(ImportError, match="MemoryState: expected 41 bytes as in the header, found 40"):
        check({components.MemoryState: 41})
