"""Readings to protobuf messages. What is not plausible is left out, so that a reader never sees it."""

from xpu_shared.telemetry.bounds import (
    COLDEST,
    HOTTEST,
    LONGEST_REASON,
    MOST_DRIVERS,
    MOST_HERTZ,
    MOST_JOULES,
    MOST_PORTS,
    MOST_PROBLEMS,
    MOST_VOLTS,
    MOST_WATTS,
    UINT32,
    first,
    scaled,
    text,
    whole,
)
from xpu_shared.telemetry.fabric_messages import port_message
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
    FrequencyDomain,
    GroupStatus,
    Indicator,
    MemoryModule,
    PciLink,
    PowerDomain,
    RasErrorSet,
    TemperatureSensor,
)
from xpu_wire import telemetry_pb2 as pb

MILLI, MICRO = 1000, 1_000_000  # units of a thousandth and a millionth

UNKNOWN_INDICATOR, UNKNOWN_STATE, UNKNOWN_LINK = Indicator(), DeviceState(), PciLink()  # nothing to write

# The numbers of words on the wire.
MODES = dict(zip(Mode, pb.Mode.values(), strict=True))
VERDICTS = dict(zip(Verdict, pb.Verdict.values(), strict=True))
REPAIRS = dict(zip(Repair, pb.Repair.values(), strict=True))
LINK_STATUSES = dict(zip(LinkStatus, pb.LinkStatus.values(), strict=True))
MEMORY_KINDS = dict(zip(MemoryKind, pb.MemoryKind.values(), strict=True))
MEMORY_LOCATIONS = dict(zip(MemoryLocation, pb.MemoryLocation.values(), strict=True))
MEMORY_HEALTHS = dict(zip(MemoryHealth, pb.MemoryHealth.values(), strict=True))
TEMPERATURE_KINDS = dict(zip(TemperatureKind, pb.TemperatureKind.values(), strict=True))
POWER_KINDS = dict(zip(PowerKind, pb.PowerKind.values(), strict=True))
FREQUENCY_KINDS = dict(zip(FrequencyKind, pb.FrequencyKind.values(), strict=True))
ENGINE_KINDS = dict(zip(EngineKind, pb.EngineKind.values(), strict=True))
RAS_SEVERITIES = dict(zip(RasSeverity, pb.RasSeverity.values(), strict=True))
GROUPS = dict(zip(Group, pb.Group.values(), strict=True))


def snapshot_message(snapshot: DeviceSnapshot) -> pb.DeviceSnapshot:
    wsl = snapshot.wsl
    return pb.DeviceSnapshot(
        mode=MODES[snapshot.mode],
        unavailable=text(snapshot.unavailable, LONGEST_REASON),
        collector_version=text(snapshot.collector_version),
        api_version=text(snapshot.api_version),
        loader_version=text(snapshot.loader_version),
        driver_versions=[text(version) for version in first(snapshot.driver_versions, MOST_DRIVERS)],
        devices=[_device(device) for device in snapshot.devices],
        problems=[
            pb.Problem(subject=text(problem.subject), text=text(problem.text, LONGEST_REASON))
            for problem in first(snapshot.problems, MOST_PROBLEMS)
        ],
        wsl=None if wsl is None else pb.WslDevices(indices=wsl.indices, hierarchy=text(wsl.hierarchy)),
    )


def _device(device: DeviceReading) -> pb.Device:
    return pb.Device(
        pci_address=device.pci_address,
        uuid=_uuid(device.uuid),
        vendor_id=whole(device.vendor_id, UINT32),
        device_id=whole(device.device_id, UINT32),
        model=text(device.model),
        serial_number=text(device.serial_number),
        driver_version=text(device.driver_version),
        integrated=device.integrated,
        subdevices=whole(device.subdevices, UINT32),
        memory_ok=_indicator(device.memory_ok),
        bus_ok=_indicator(device.bus_ok),
        soc_ok=_indicator(device.soc_ok),
        state=_state(device.state),
        pci=_pci(device.pci),
        memory=[_memory(module) for module in first(device.memory)],
        temperatures=[_temperature(sensor) for sensor in first(device.temperatures)],
        power=[_power(domain) for domain in first(device.power)],
        frequencies=[_frequency(domain) for domain in first(device.frequencies)],
        engines=[_engine(engine) for engine in first(device.engines)],
        ras=[_ras(errors) for errors in first(device.ras)],
        firmwares=[
            pb.Firmware(name=text(firmware.name), version=text(firmware.version))
            for firmware in first(device.firmwares)
        ],
        fabric_ports=[port_message(port) for port in first(device.fabric_ports, MOST_PORTS)],
        groups=[_group(group, status) for group, status in device.groups.items()],
    )


def _uuid(uuid: str) -> bytes:
    """The 16 bytes of a UUID, in the order of its digits; none when it is not one."""
    try:
        number = bytes.fromhex(uuid.replace("-", ""))
    except ValueError:
        return b""
    return number if len(number) == 16 else b""


def _indicator(indicator: Indicator) -> pb.Indicator | None:
    if indicator == UNKNOWN_INDICATOR:
        return None
    return pb.Indicator(verdict=VERDICTS[indicator.verdict], reason=text(indicator.reason, LONGEST_REASON))


def _state(state: DeviceState) -> pb.DeviceState | None:
    if state == UNKNOWN_STATE:
        return None
    return pb.DeviceState(
        wedged=state.wedged,
        repair_needed=state.repair_needed,
        repair=REPAIRS[state.repair],
        reset_required=state.reset_required,
        survivability_mode=state.survivability_mode,
        lost_rounds=whole(state.lost_rounds, UINT32),
    )


def _pci(link: PciLink) -> pb.PciLink | None:
    if link == UNKNOWN_LINK:
        return None
    return pb.PciLink(
        status=LINK_STATUSES[link.status],
        replay_issues=link.replay_issues,
        speed_issues=link.speed_issues,
        retraining_issues=link.retraining_issues,
        generation=whole(link.generation, UINT32),
        lanes=whole(link.lanes, UINT32),
        bytes_per_second=whole(link.bytes_per_second),
        max_generation=whole(link.max_generation, UINT32),
        max_lanes=whole(link.max_lanes, UINT32),
        max_bytes_per_second=whole(link.max_bytes_per_second),
        received_bytes=whole(link.received_bytes),
        transmitted_bytes=whole(link.transmitted_bytes),
        replays=whole(link.replays),
        throughput_bytes_per_second=whole(link.throughput_bytes_per_second),
    )


def _memory(module: MemoryModule) -> pb.MemoryModule:
    return pb.MemoryModule(
        kind=MEMORY_KINDS[module.kind],
        subdevice=whole(module.subdevice, UINT32),
        location=MEMORY_LOCATIONS[module.location],
        health=MEMORY_HEALTHS[module.health],
        physical_bytes=whole(module.physical_bytes),
        size_bytes=whole(module.size_bytes),
        free_bytes=whole(module.free_bytes),
        bus_width_bits=whole(module.bus_width_bits, UINT32),
        channels=whole(module.channels, UINT32),
        read_bytes=whole(module.read_bytes),
        written_bytes=whole(module.written_bytes),
        max_bytes_per_second=whole(module.max_bytes_per_second),
        throughput_bytes_per_second=whole(module.throughput_bytes_per_second),
    )


def _temperature(sensor: TemperatureSensor) -> pb.TemperatureSensor:
    return pb.TemperatureSensor(
        kind=TEMPERATURE_KINDS[sensor.kind],
        subdevice=whole(sensor.subdevice, UINT32),
        millicelsius=scaled(sensor.celsius, MILLI, COLDEST, HOTTEST),
        max_millicelsius=scaled(sensor.max_celsius, MILLI, COLDEST, HOTTEST),
    )


def _power(domain: PowerDomain) -> pb.PowerDomain:
    return pb.PowerDomain(
        kind=POWER_KINDS[domain.kind],
        subdevice=whole(domain.subdevice, UINT32),
        milliwatts=scaled(domain.watts, MILLI, 0, MOST_WATTS),
        energy_microjoules=scaled(domain.energy_joules, MICRO, 0, MOST_JOULES),
        sustained_limit_milliwatts=scaled(domain.sustained_limit_watts, MILLI, 0, MOST_WATTS),
        burst_limit_milliwatts=scaled(domain.burst_limit_watts, MILLI, 0, MOST_WATTS),
        peak_limit_milliwatts=scaled(domain.peak_limit_watts, MILLI, 0, MOST_WATTS),
    )


def _frequency(domain: FrequencyDomain) -> pb.FrequencyDomain:
    return pb.FrequencyDomain(
        kind=FREQUENCY_KINDS[domain.kind],
        subdevice=whole(domain.subdevice, UINT32),
        actual_hertz=whole(domain.actual_hertz, MOST_HERTZ),
        requested_hertz=whole(domain.requested_hertz, MOST_HERTZ),
        min_hertz=whole(domain.min_hertz, MOST_HERTZ),
        max_hertz=whole(domain.max_hertz, MOST_HERTZ),
        millivolts=scaled(domain.volts, MILLI, 0, MOST_VOLTS),
        throttle_reasons=_throttle_bits(domain.throttle_reasons),
        throttled_ppm=scaled(domain.throttled_ratio, MICRO, 0, 1),
    )


def _throttle_bits(reasons: frozenset[ThrottleReason] | None) -> int | None:
    return None if reasons is None else sum(1 << bit for bit, reason in enumerate(ThrottleReason) if reason in reasons)


def _engine(engine: EngineGroup) -> pb.EngineGroup:
    return pb.EngineGroup(
        kind=ENGINE_KINDS[engine.kind],
        subdevice=whole(engine.subdevice, UINT32),
        utilisation_ppm=scaled(engine.utilisation, MICRO, 0, 1),
    )


def _ras(errors: RasErrorSet) -> pb.RasErrorSet:
    return pb.RasErrorSet(
        severity=RAS_SEVERITIES[errors.severity],
        subdevice=whole(errors.subdevice, UINT32),
        resets=whole(errors.resets),
        programming_errors=whole(errors.programming_errors),
        driver_errors=whole(errors.driver_errors),
        compute_errors=whole(errors.compute_errors),
        non_compute_errors=whole(errors.non_compute_errors),
        cache_errors=whole(errors.cache_errors),
        display_errors=whole(errors.display_errors),
        memory_errors=whole(errors.memory_errors),
        scale_errors=whole(errors.scale_errors),
        l3_fabric_errors=whole(errors.l3_fabric_errors),
    )


def _group(group: Group, status: GroupStatus) -> pb.GroupStatus:
    error = status.last_error
    return pb.GroupStatus(
        group=GROUPS[group],
        age_ms=scaled(status.age, MILLI, 0, UINT32 / MILLI),
        last_error=None
        if error is None
        else pb.ResultError(code=whole(error.code, UINT32) or 0, text=text(error.text, LONGEST_REASON)),
    )
