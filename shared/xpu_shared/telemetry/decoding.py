"""Protobuf messages to readings. Messages come from outside: what cannot be is dropped and counted, value by value."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from google.protobuf.message import Message

from xpu_shared.telemetry.bounds import (
    COLDEST,
    HOTTEST,
    LONGEST_REASON,
    MOST_COMPONENTS,
    MOST_DEVICES,
    MOST_DRIVERS,
    MOST_HERTZ,
    MOST_JOULES,
    MOST_PROBLEMS,
    MOST_VOLTS,
    MOST_WATTS,
    text,
)
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
    WslDevices,
)
from xpu_wire import telemetry_pb2 as pb

T = TypeVar("T")
M = TypeVar("M", bound=Message)

MOST_REMEMBERED = 1024  # records: those of 64 GPUs that stay as they are

PCI_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")
ALL_GROUPS = frozenset(Group)
UNKNOWN_INDICATOR, UNKNOWN_STATE, UNKNOWN_LINK = Indicator(), DeviceState(), PciLink()

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


class SnapshotReader:
    """Reads snapshots; `dropped` counts what of them could not be used, by reason."""

    def __init__(self, *, groups: frozenset[Group] = ALL_GROUPS) -> None:
        """`groups` are those whose components and status are read: to read what nobody asks for is most of the work."""
        self.dropped: Counter[str] = Counter()
        self._groups = groups
        self._remembered: dict[tuple[Callable[[Any], object], bytes], object] = {}

    def _record(self, read: Callable[[M], T], message: M) -> T:
        """What `read` makes of a message, from memory when it was the same before: most of a device stays as it is."""
        key = (read, message.SerializeToString())
        known = self._remembered.get(key)
        if known is None:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            known = self._remembered[key] = read(message)
        return known  # type: ignore[return-value]  # the key has the function that made it

    def snapshot(self, message: pb.DeviceSnapshot) -> DeviceSnapshot:
        return DeviceSnapshot(
            mode=_word(MODES, message.mode),
            unavailable=text(message.unavailable, LONGEST_REASON),
            collector_version=text(message.collector_version),
            api_version=text(message.api_version),
            loader_version=text(message.loader_version),
            driver_versions=tuple(map(text, self._first(message.driver_versions, MOST_DRIVERS))),
            devices=self._devices(message.devices),
            problems=tuple(
                SourceProblem(subject=text(problem.subject), text=text(problem.text, LONGEST_REASON))
                for problem in self._first(message.problems, MOST_PROBLEMS)
            ),
            wsl=self._wsl(message.wsl) if message.HasField("wsl") else None,
        )

    def _first(self, values: Sequence[T], most: int = MOST_COMPONENTS) -> Sequence[T]:
        if len(values) <= most:
            return values
        self.dropped["too many"] += len(values) - most
        return values[:most]

    def _wsl(self, message: pb.WslDevices) -> WslDevices:
        return WslDevices(indices=tuple(self._first(message.indices, MOST_DEVICES)), hierarchy=text(message.hierarchy))

    def _devices(self, messages: Sequence[pb.Device]) -> tuple[DeviceReading, ...]:
        devices: dict[str, DeviceReading] = {}
        for message in self._first(messages, MOST_DEVICES):
            address = message.pci_address.lower() if len(message.pci_address) <= 16 else ""
            if not PCI_ADDRESS.fullmatch(address):
                self.dropped["device without address"] += 1
            elif address in devices:
                self.dropped["device twice"] += 1
            else:
                devices[address] = self._device(address, message)
        return tuple(devices.values())

    def _device(self, address: str, message: pb.Device) -> DeviceReading:
        wanted = self._groups
        return DeviceReading(
            pci_address=address,
            uuid=self._uuid(message.uuid),
            vendor_id=message.vendor_id if message.HasField("vendor_id") else None,
            device_id=message.device_id if message.HasField("device_id") else None,
            model=text(message.model),
            serial_number=text(message.serial_number),
            driver_version=text(message.driver_version),
            integrated=message.integrated if message.HasField("integrated") else None,
            subdevices=message.subdevices if message.HasField("subdevices") else None,
            memory_ok=self._record(_indicator, message.memory_ok)
            if message.HasField("memory_ok")
            else UNKNOWN_INDICATOR,
            bus_ok=self._record(_indicator, message.bus_ok) if message.HasField("bus_ok") else UNKNOWN_INDICATOR,
            soc_ok=self._record(_indicator, message.soc_ok) if message.HasField("soc_ok") else UNKNOWN_INDICATOR,
            state=self._record(_state, message.state) if message.HasField("state") else UNKNOWN_STATE,
            pci=self._record(_pci, message.pci) if Group.PCI in wanted and message.HasField("pci") else UNKNOWN_LINK,
            memory=tuple([self._record(_memory, module) for module in self._first(message.memory)])
            if Group.MEMORY in wanted
            else (),
            temperatures=tuple(map(self._temperature, self._first(message.temperatures)))
            if Group.TEMPERATURE in wanted
            else (),
            power=tuple(map(self._power, self._first(message.power))) if Group.POWER in wanted else (),
            frequencies=tuple(map(self._frequency, self._first(message.frequencies)))
            if Group.FREQUENCY in wanted
            else (),
            engines=tuple(map(self._engine, self._first(message.engines))) if Group.ENGINE in wanted else (),
            ras=tuple([self._record(_ras, errors) for errors in self._first(message.ras)])
            if Group.RAS in wanted
            else (),
            firmwares=tuple(
                Firmware(name=text(firmware.name), version=text(firmware.version))
                for firmware in self._first(message.firmwares)
            )
            if Group.FIRMWARE in wanted
            else (),
            groups=self._statuses(self._first(message.groups)),
        )

    def _uuid(self, number: bytes) -> str:
        if len(number) == 16:
            digits = number.hex()
            return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        if number:
            self.dropped["implausible value"] += 1
        return ""

    def _statuses(self, messages: Sequence[pb.GroupStatus]) -> dict[Group, GroupStatus]:
        statuses: dict[Group, GroupStatus] = {}
        for message in messages:
            group = _word(GROUPS, message.group)
            if group is not Group.UNSPECIFIED and group in self._groups:  # unspecified: of a newer version
                statuses[group] = _status(message)
        return statuses

    def _measured(self, value: int, unit: int, least: float, most: float) -> float | None:
        """A measurement of the wire's integer unit; None, and counted, when it is not plausible."""
        measured = value / unit
        if least <= measured <= most:
            return measured
        self.dropped["implausible value"] += 1
        return None

    def _hertz(self, value: int) -> int | None:
        if value <= MOST_HERTZ:
            return value
        self.dropped["implausible value"] += 1
        return None

    def _celsius(self, value: int) -> float | None:
        return self._measured(value, 1000, COLDEST, HOTTEST)

    def _watts(self, value: int) -> float | None:
        return self._measured(value, 1000, 0, MOST_WATTS)

    def _ratio(self, value: int) -> float | None:
        return self._measured(value, 1_000_000, 0, 1)

    def _temperature(self, message: pb.TemperatureSensor) -> TemperatureSensor:
        return TemperatureSensor(
            kind=_word(TEMPERATURE_KINDS, message.kind),
            subdevice=message.subdevice if message.HasField("subdevice") else None,
            celsius=self._celsius(message.millicelsius) if message.HasField("millicelsius") else None,
            max_celsius=self._celsius(message.max_millicelsius) if message.HasField("max_millicelsius") else None,
        )

    def _power(self, message: pb.PowerDomain) -> PowerDomain:
        return PowerDomain(
            kind=_word(POWER_KINDS, message.kind),
            subdevice=message.subdevice if message.HasField("subdevice") else None,
            watts=self._watts(message.milliwatts) if message.HasField("milliwatts") else None,
            energy_joules=self._measured(message.energy_microjoules, 1_000_000, 0, MOST_JOULES)
            if message.HasField("energy_microjoules")
            else None,
            sustained_limit_watts=self._watts(message.sustained_limit_milliwatts)
            if message.HasField("sustained_limit_milliwatts")
            else None,
            burst_limit_watts=self._watts(message.burst_limit_milliwatts)
            if message.HasField("burst_limit_milliwatts")
            else None,
            peak_limit_watts=self._watts(message.peak_limit_milliwatts)
            if message.HasField("peak_limit_milliwatts")
            else None,
        )

    def _frequency(self, message: pb.FrequencyDomain) -> FrequencyDomain:
        return FrequencyDomain(
            kind=_word(FREQUENCY_KINDS, message.kind),
            subdevice=message.subdevice if message.HasField("subdevice") else None,
            actual_hertz=self._hertz(message.actual_hertz) if message.HasField("actual_hertz") else None,
            requested_hertz=self._hertz(message.requested_hertz) if message.HasField("requested_hertz") else None,
            min_hertz=self._hertz(message.min_hertz) if message.HasField("min_hertz") else None,
            max_hertz=self._hertz(message.max_hertz) if message.HasField("max_hertz") else None,
            volts=self._measured(message.millivolts, 1000, 0, MOST_VOLTS) if message.HasField("millivolts") else None,
            throttle_reasons=_throttle_reasons(message.throttle_reasons)
            if message.HasField("throttle_reasons")
            else None,
            throttled_ratio=self._ratio(message.throttled_ppm) if message.HasField("throttled_ppm") else None,
        )

    def _engine(self, message: pb.EngineGroup) -> EngineGroup:
        return EngineGroup(
            kind=_word(ENGINE_KINDS, message.kind),
            subdevice=message.subdevice if message.HasField("subdevice") else None,
            utilisation=self._ratio(message.utilisation_ppm) if message.HasField("utilisation_ppm") else None,
        )


def _word(words: tuple[T, ...], number: int) -> T:
    """The word of a number; the first one, which is "unknown", of a number of a newer version."""
    return words[number] if 0 <= number < len(words) else words[0]


def _throttle_reasons(bits: int) -> frozenset[ThrottleReason]:
    return frozenset(reason for bit, reason in enumerate(ThrottleReason) if bits >> bit & 1)


def _indicator(message: pb.Indicator) -> Indicator:
    return Indicator(verdict=_word(VERDICTS, message.verdict), reason=text(message.reason, LONGEST_REASON))


def _status(message: pb.GroupStatus) -> GroupStatus:
    return GroupStatus(
        age=message.age_ms / 1000 if message.HasField("age_ms") else None,
        last_error=ResultError(code=message.last_error.code, text=text(message.last_error.text, LONGEST_REASON))
        if message.HasField("last_error")
        else None,
    )


def _state(message: pb.DeviceState) -> DeviceState:
    return DeviceState(
        wedged=message.wedged if message.HasField("wedged") else None,
        repair_needed=message.repair_needed if message.HasField("repair_needed") else None,
        repair=_word(REPAIRS, message.repair),
        reset_required=message.reset_required if message.HasField("reset_required") else None,
        survivability_mode=message.survivability_mode if message.HasField("survivability_mode") else None,
        lost_rounds=message.lost_rounds if message.HasField("lost_rounds") else None,
    )


def _pci(message: pb.PciLink) -> PciLink:
    return PciLink(
        status=_word(LINK_STATUSES, message.status),
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


def _memory(message: pb.MemoryModule) -> MemoryModule:
    return MemoryModule(
        kind=_word(MEMORY_KINDS, message.kind),
        subdevice=message.subdevice if message.HasField("subdevice") else None,
        location=_word(MEMORY_LOCATIONS, message.location),
        health=_word(MEMORY_HEALTHS, message.health),
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


def _ras(message: pb.RasErrorSet) -> RasErrorSet:
    return RasErrorSet(
        severity=_word(RAS_SEVERITIES, message.severity),
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
