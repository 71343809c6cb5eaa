"""Envelopes for tests: the smallest, and a device with every field."""

from xpu_shared.telemetry.kinds import (
    EngineKind,
    FrequencyKind,
    Group,
    LinkStatus,
    MemoryHealth,
    MemoryKind,
    MemoryLocation,
    Mode,
    PowerKind,
    RasSeverity,
    Repair,
    TemperatureKind,
    ThrottleReason,
    Verdict,
)
from xpu_shared.telemetry.readings import (
    DeviceReading,
    DeviceSnapshot,
    DeviceState,
    EngineGroup,
    Envelope,
    Firmware,
    FrequencyDomain,
    GroupStatus,
    Indicator,
    MemoryModule,
    PciLink,
    PowerDomain,
    RasErrorSet,
    ResultError,
    SourceProblem,
    TemperatureSensor,
)

BOOT = "6f1f8e0a-5c0e-4a0b-9d0e-7a5b3c2d1e0f"


def envelope(payload: DeviceSnapshot | None = None, *, sequence: int = 7, start_sequence: int = 5) -> Envelope:
    return Envelope(
        source="level-zero",
        node="node-1",
        boot_id=BOOT,
        start_sequence=start_sequence,
        sequence=sequence,
        wall_time=1_790_000_000.125,
        monotonic_time=12.5,
        validity=3.0,
        payload=payload or DeviceSnapshot(),
    )


def hot_gpu(celsius: float) -> DeviceReading:
    sensor = TemperatureSensor(kind=TemperatureKind.GPU, subdevice=1, celsius=celsius)
    return DeviceReading(
        pci_address="0000:3b:00.0", temperatures=(sensor,), groups={Group.TEMPERATURE: GroupStatus(age=0.0)}
    )


def full_device(number: int, *, subdevices: int = 1) -> DeviceReading:
    """A device with every field, and of each kind of component what a card with so many tiles has."""
    tiles = range(subdevices)
    big = 10_000_000_000_000 + number  # a counter after weeks
    error = ResultError(code=0x70010000, text="insufficient permissions (0x70010000)")
    return DeviceReading(
        pci_address=f"0000:{number:02x}:00.0",
        uuid=f"00000000-0000-0000-{number:04x}-0000e2b80386",
        vendor_id=0x8086,
        device_id=0xE20B,
        model="Intel(R) Data Center GPU Max 1550",
        serial_number="0x38b2c1d94f6a70e5",
        driver_version="25.40.35563.4",
        integrated=False,
        subdevices=subdevices,
        memory_ok=Indicator(verdict=Verdict.OK),
        bus_ok=Indicator(verdict=Verdict.FAILED, reason="link is slower than it should be"),
        soc_ok=Indicator(verdict=Verdict.UNKNOWN, reason="device lost"),
        state=DeviceState(
            wedged=False,
            repair_needed=False,
            repair=Repair.NOT_PERFORMED,
            reset_required=False,
            survivability_mode=False,
            lost_rounds=0,
        ),
        pci=PciLink(
            status=LinkStatus.QUALITY_ISSUES,
            replay_issues=True,
            speed_issues=False,
            retraining_issues=False,
            generation=5,
            lanes=16,
            bytes_per_second=63_015_384_615,
            max_generation=5,
            max_lanes=16,
            max_bytes_per_second=63_015_384_615,
            received_bytes=big,
            transmitted_bytes=big,
            replays=12,
            throughput_bytes_per_second=12_345_678_901,
        ),
        memory=tuple(
            MemoryModule(
                kind=MemoryKind.HBM,
                subdevice=tile,
                location=MemoryLocation.DEVICE,
                health=MemoryHealth.OK,
                physical_bytes=68_719_476_736,
                size_bytes=68_719_476_736,
                free_bytes=61_203_283_968,
                bus_width_bits=1024,
                channels=8,
                read_bytes=big,
                written_bytes=big,
                max_bytes_per_second=1_638_400_000_000,
                throughput_bytes_per_second=819_200_000_000,
            )
            for tile in tiles
        ),
        temperatures=tuple(
            TemperatureSensor(kind=kind, subdevice=tile, celsius=61.5, max_celsius=105.0)
            for kind in (TemperatureKind.GLOBAL, TemperatureKind.GPU, TemperatureKind.MEMORY)
            for tile in tiles
        ),
        power=tuple(
            PowerDomain(
                kind=kind,
                subdevice=tile,
                watts=412.125,
                energy_joules=123_456_789.25,
                sustained_limit_watts=600.0,
                burst_limit_watts=720.0,
                peak_limit_watts=900.5,
            )
            for kind in (PowerKind.CARD, PowerKind.PACKAGE)
            for tile in tiles
        ),
        frequencies=tuple(
            FrequencyDomain(
                kind=kind,
                subdevice=tile,
                actual_hertz=1_550_000_000,
                requested_hertz=1_600_000_000,
                min_hertz=900_000_000,
                max_hertz=1_600_000_000,
                volts=0.875,
                throttle_reasons=frozenset((ThrottleReason.AVERAGE_POWER, ThrottleReason.THERMAL)),
                throttled_ratio=0.125,
            )
            for kind in (FrequencyKind.GPU, FrequencyKind.MEDIA)
            for tile in tiles
        ),
        engines=tuple(
            EngineGroup(kind=kind, subdevice=tile, utilisation=0.45)
            for kind in (EngineKind.ALL, EngineKind.COMPUTE_ALL, EngineKind.MEDIA_ALL, EngineKind.COPY_ALL)
            for tile in tiles
        ),
        ras=tuple(
            RasErrorSet(
                severity=severity,
                subdevice=tile,
                resets=1,
                programming_errors=2,
                driver_errors=3,
                compute_errors=4,
                non_compute_errors=5,
                cache_errors=6,
                display_errors=7,
                memory_errors=8,
                scale_errors=9,
                l3_fabric_errors=10,
            )
            for severity in (RasSeverity.CORRECTABLE, RasSeverity.UNCORRECTABLE)
            for tile in tiles
        ),
        firmwares=(Firmware(name="GFX", version="PVC2_1.23374"), Firmware(name="GFX_DATA", version="0xA7")),
        groups={
            group: GroupStatus(age=0.25, last_error=error if group is Group.ENGINE else None)
            for group in Group
            if group is not Group.UNSPECIFIED
        },
    )


def full_snapshot(devices: int, *, subdevices: int = 1) -> DeviceSnapshot:
    return DeviceSnapshot(
        mode=Mode.SYSMAN,
        collector_version="0.1.0",
        api_version="1.12",
        loader_version="1.20.6",
        driver_versions=("1.6.35563",),
        devices=tuple(full_device(number, subdevices=subdevices) for number in range(devices)),
        problems=(SourceProblem(subject="0000:03:00.0", text="fan: unsupported feature (0x78000003)"),),
    )
