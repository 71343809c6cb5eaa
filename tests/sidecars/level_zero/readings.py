"""Readings of GPUs as a healthy and complete source has them, for tests of what is made of them."""

from dataclasses import replace

from xpu_shared.telemetry.kinds import (
    EngineKind,
    FrequencyKind,
    Group,
    LinkStatus,
    MemoryHealth,
    MemoryKind,
    MemoryLocation,
    PowerKind,
    RasSeverity,
    TemperatureKind,
    ThrottleReason,
    Verdict,
)
from xpu_shared.telemetry.readings import (
    DeviceReading,
    DeviceState,
    EngineGroup,
    Firmware,
    FrequencyDomain,
    GroupStatus,
    Indicator,
    MemoryModule,
    PciLink,
    PowerDomain,
    RasErrorSet,
    TemperatureSensor,
)

OK = Indicator(verdict=Verdict.OK)
FAILED = Indicator(verdict=Verdict.FAILED, reason="module 0: critical")
GIB = 1 << 30


def gpu(address: str = "0000:03:00.0", *, age: float = 0.5, **changes: object) -> DeviceReading:
    reading = DeviceReading(
        pci_address=address,
        uuid="01020304-0506-0708-090a-0b0c0d0e0f10",
        vendor_id=0x8086,
        device_id=0x0BD5,
        model="Intel(R) Data Center GPU Max 1550",
        driver_version="1.6.33578",
        integrated=False,
        subdevices=2,
        memory_ok=OK,
        bus_ok=OK,
        soc_ok=OK,
        state=DeviceState(wedged=False, lost_rounds=0),
        pci=PciLink(
            status=LinkStatus.GOOD, generation=5, lanes=16, max_generation=5, max_lanes=16, replays=3, received_bytes=7
        ),
        memory=tuple(
            MemoryModule(
                kind=MemoryKind.HBM,
                subdevice=tile,
                location=MemoryLocation.DEVICE,
                health=MemoryHealth.OK,
                size_bytes=64 * GIB,
                free_bytes=48 * GIB,
                read_bytes=5,
            )
            for tile in range(2)
        ),
        temperatures=(
            TemperatureSensor(kind=TemperatureKind.GPU, subdevice=0, celsius=61.5, max_celsius=105.0),
            TemperatureSensor(kind=TemperatureKind.GPU, subdevice=1, celsius=59.0),
            TemperatureSensor(kind=TemperatureKind.MEMORY, subdevice=0),
        ),
        power=(PowerDomain(kind=PowerKind.CARD, watts=100.0, energy_joules=155.0, sustained_limit_watts=600.0),),
        frequencies=(
            FrequencyDomain(
                kind=FrequencyKind.GPU,
                subdevice=0,
                actual_hertz=1_600_000_000,
                throttle_reasons=frozenset({ThrottleReason.THERMAL_LIMIT}),
                throttled_ratio=0.25,
            ),
        ),
        engines=(
            EngineGroup(kind=EngineKind.COMPUTE_ALL, subdevice=0, utilisation=0.45),
            EngineGroup(kind=EngineKind.COMPUTE, subdevice=0, utilisation=0.5),
            EngineGroup(kind=EngineKind.COMPUTE, subdevice=0, utilisation=0.4),
        ),
        ras=(RasErrorSet(severity=RasSeverity.UNCORRECTABLE, subdevice=0, memory_errors=2, resets=0),),
        firmwares=(Firmware(name="GFX", version="PVC_1.23"),),
        groups={Group.STATE: GroupStatus(age=age), Group.RAS: GroupStatus(age=age + 4)},
    )
    return replace(reading, **changes)  # type: ignore[arg-type]  # tests name any of its fields
