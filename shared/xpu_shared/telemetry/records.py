"""The records of a device that any number fits into: words, flags, counters.

Those with measurements, which may be implausible, are read in `decoding.py`.
"""

from typing import TypeVar

from xpu_shared.telemetry.bounds import LONGEST_REASON, text
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
    DeviceState,
    GroupStatus,
    Indicator,
    MemoryModule,
    PciLink,
    RasErrorSet,
    ResultError,
)
from xpu_wire import telemetry_pb2 as pb

T = TypeVar("T")

# The words of numbers on the wire.
MODES = tuple(Mode)
VERDICTS = tuple(Verdict)
REPAIRS = tuple(Repair)
LINK_STATUSES = tuple(LinkStatus)
MEMORY_KINDS = tuple(MemoryKind)
MEMORY_LOCATIONS = tuple(MemoryLocation)
MEMORY_HEALTHS = tuple(MemoryHealth)
TEMPERATURE_KINDS = tuple(TemperatureKind)
POWER_KINDS = tuple(PowerKind)
FREQUENCY_KINDS = tuple(FrequencyKind)
ENGINE_KINDS = tuple(EngineKind)
RAS_SEVERITIES = tuple(RasSeverity)
GROUPS = tuple(Group)


def word(words: tuple[T, ...], number: int) -> T:
    """The word of a number; the first one, which is "unknown", of a number of a newer version."""
    return words[number] if 0 <= number < len(words) else words[0]


def throttle_reasons(bits: int) -> frozenset[ThrottleReason]:
    return frozenset(reason for bit, reason in enumerate(ThrottleReason) if bits >> bit & 1)


def indicator(message: pb.Indicator) -> Indicator:
    return Indicator(verdict=word(VERDICTS, message.verdict), reason=text(message.reason, LONGEST_REASON))


def status(message: pb.GroupStatus) -> GroupStatus:
    return GroupStatus(
        age=message.age_ms / 1000 if message.HasField("age_ms") else None,
        last_error=ResultError(code=message.last_error.code, text=text(message.last_error.text, LONGEST_REASON))
        if message.HasField("last_error")
        else None,
    )


def state(message: pb.DeviceState) -> DeviceState:
    return DeviceState(
        wedged=message.wedged if message.HasField("wedged") else None,
        repair_needed=message.repair_needed if message.HasField("repair_needed") else None,
        repair=word(REPAIRS, message.repair),
        reset_required=message.reset_required if message.HasField("reset_required") else None,
        survivability_mode=message.survivability_mode if message.HasField("survivability_mode") else None,
        lost_rounds=message.lost_rounds if message.HasField("lost_rounds") else None,
    )


def pci(message: pb.PciLink) -> PciLink:
    return PciLink(
        status=word(LINK_STATUSES, message.status),
        replay_issues=message.replay_issues if message.HasField("replay_issues") else None,
        speed_issues=message.speed_issues if message.HasField("speed_issues") else None,
        retraining_issues=message.retraining_issues if message.HasField("retraining_issues") else None,
        generation=message.generation if message.HasField("generation") else None,
        lanes=message.lanes if message.HasField("lanes") else None,
        bytes_per_second=message.bytes_per_second if message.HasField("bytes_per_second") else None,
        max_generation=message.max_generation if message.HasField("max_generation") else None,
        max_lanes=message.max_lanes if message.HasField("max_lanes") else None,
        max_bytes_per_second=message.max_bytes_per_second if message.HasField("max_bytes_per_second") else None,
        received_bytes=message.received_bytes if message.HasField("received_bytes") else None,
        transmitted_bytes=message.transmitted_bytes if message.HasField("transmitted_bytes") else None,
        replays=message.replays if message.HasField("replays") else None,
        throughput_bytes_per_second=message.throughput_bytes_per_second
        if message.HasField("throughput_bytes_per_second")
        else None,
    )


def memory(message: pb.MemoryModule) -> MemoryModule:
    return MemoryModule(
        kind=word(MEMORY_KINDS, message.kind),
        subdevice=message.subdevice if message.HasField("subdevice") else None,
        location=word(MEMORY_LOCATIONS, message.location),
        health=word(MEMORY_HEALTHS, message.health),
        physical_bytes=message.physical_bytes if message.HasField("physical_bytes") else None,
        size_bytes=message.size_bytes if message.HasField("size_bytes") else None,
        free_bytes=message.free_bytes if message.HasField("free_bytes") else None,
        bus_width_bits=message.bus_width_bits if message.HasField("bus_width_bits") else None,
        channels=message.channels if message.HasField("channels") else None,
        read_bytes=message.read_bytes if message.HasField("read_bytes") else None,
        written_bytes=message.written_bytes if message.HasField("written_bytes") else None,
        max_bytes_per_second=message.max_bytes_per_second if message.HasField("max_bytes_per_second") else None,
        throughput_bytes_per_second=message.throughput_bytes_per_second
        if message.HasField("throughput_bytes_per_second")
        else None,
    )


def ras(message: pb.RasErrorSet) -> RasErrorSet:
    return RasErrorSet(
        severity=word(RAS_SEVERITIES, message.severity),
        subdevice=message.subdevice if message.HasField("subdevice") else None,
        resets=message.resets if message.HasField("resets") else None,
        programming_errors=message.programming_errors if message.HasField("programming_errors") else None,
        driver_errors=message.driver_errors if message.HasField("driver_errors") else None,
        compute_errors=message.compute_errors if message.HasField("compute_errors") else None,
        non_compute_errors=message.non_compute_errors if message.HasField("non_compute_errors") else None,
        cache_errors=message.cache_errors if message.HasField("cache_errors") else None,
        display_errors=message.display_errors if message.HasField("display_errors") else None,
        memory_errors=message.memory_errors if message.HasField("memory_errors") else None,
        scale_errors=message.scale_errors if message.HasField("scale_errors") else None,
        l3_fabric_errors=message.l3_fabric_errors if message.HasField("l3_fabric_errors") else None,
    )
