"""What a source has measured of one node's devices: values with units, as the sidecar fills and the judge reads them.

`None` is "not known", which is neither 0 nor False; a value that was measured and is wrong never gets here. Bytes are
in `messages.py`. A component's `subdevice` is the number of its tile, None for the whole device.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from xpu_shared.telemetry.fabric import Port
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

P_co = TypeVar("P_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """One of the three answers of the reference: memory, bus and SoC, with why it is not OK."""

    verdict: Verdict = Verdict.UNKNOWN
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """The device's own word (zesDeviceGetState) and the results of all calls of the newest round."""

    wedged: bool | None = None
    repair_needed: bool | None = None
    repair: Repair = Repair.UNKNOWN
    reset_required: bool | None = None  # a call ended with DEVICE_REQUIRES_RESET
    survivability_mode: bool | None = None  # a call ended with SURVIVABILITY_MODE_DETECTED
    lost_rounds: int | None = None  # rounds in a row that ended with DEVICE_LOST; 0: it answers


@dataclass(frozen=True, slots=True, kw_only=True)
class PciLink:
    status: LinkStatus = LinkStatus.UNKNOWN
    replay_issues: bool | None = None
    speed_issues: bool | None = None
    retraining_issues: bool | None = None
    generation: int | None = None
    lanes: int | None = None
    bytes_per_second: int | None = None  # what the link can carry now
    max_generation: int | None = None
    max_lanes: int | None = None
    max_bytes_per_second: int | None = None
    received_bytes: int | None = None  # counter
    transmitted_bytes: int | None = None  # counter
    replays: int | None = None  # counter
    throughput_bytes_per_second: int | None = None  # both directions


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryModule:
    kind: MemoryKind = MemoryKind.UNKNOWN
    subdevice: int | None = None
    location: MemoryLocation = MemoryLocation.UNKNOWN
    health: MemoryHealth = MemoryHealth.UNKNOWN
    physical_bytes: int | None = None
    size_bytes: int | None = None  # what software may allocate
    free_bytes: int | None = None
    bus_width_bits: int | None = None
    channels: int | None = None
    read_bytes: int | None = None  # counter
    written_bytes: int | None = None  # counter
    max_bytes_per_second: int | None = None
    throughput_bytes_per_second: int | None = None  # experimental: drivers differ in what they count

    @property
    def used_bytes(self) -> int | None:
        total = self.physical_bytes or self.size_bytes
        return max(0, total - self.free_bytes) if total and self.free_bytes is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemperatureSensor:
    kind: TemperatureKind = TemperatureKind.UNKNOWN
    subdevice: int | None = None
    celsius: float | None = None
    max_celsius: float | None = None  # what the device stands


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerDomain:
    kind: PowerKind = PowerKind.UNKNOWN
    subdevice: int | None = None
    watts: float | None = None
    energy_joules: float | None = None  # counter
    sustained_limit_watts: float | None = None
    burst_limit_watts: float | None = None
    peak_limit_watts: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrequencyDomain:
    kind: FrequencyKind = FrequencyKind.UNKNOWN
    subdevice: int | None = None
    actual_hertz: int | None = None
    requested_hertz: int | None = None
    min_hertz: int | None = None  # of the range that is set now
    max_hertz: int | None = None
    volts: float | None = None
    throttle_reasons: frozenset[ThrottleReason] | None = None  # empty: it is not throttled
    throttled_ratio: float | None = None  # share of the time, 0 to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineGroup:
    kind: EngineKind = EngineKind.UNKNOWN
    subdevice: int | None = None
    utilisation: float | None = None  # share of the time, 0 to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RasErrorSet:
    """Errors since the driver was loaded, or since somebody cleared the counters."""

    severity: RasSeverity = RasSeverity.UNKNOWN
    subdevice: int | None = None
    resets: int | None = None
    programming_errors: int | None = None
    driver_errors: int | None = None
    compute_errors: int | None = None
    non_compute_errors: int | None = None
    cache_errors: int | None = None
    display_errors: int | None = None
    memory_errors: int | None = None
    scale_errors: int | None = None
    l3_fabric_errors: int | None = None

    @property
    def counts(self) -> Mapping[str, int | None]:
        """By category."""
        return {
            "resets": self.resets,
            "programming_errors": self.programming_errors,
            "driver_errors": self.driver_errors,
            "compute_errors": self.compute_errors,
            "non_compute_errors": self.non_compute_errors,
            "cache_errors": self.cache_errors,
            "display_errors": self.display_errors,
            "memory_errors": self.memory_errors,
            "scale_errors": self.scale_errors,
            "l3_fabric_errors": self.l3_fabric_errors,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultError:
    code: int  # ze_result_t
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStatus:
    age: float | None = None  # seconds between the sample and the message; None: never sampled
    last_error: ResultError | None = None  # of the newest attempt; None: it was good


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReading:
    """Everything known of one device."""

    pci_address: str  # the key: dddd:bb:dd.f, hexadecimal in lower case
    uuid: str = ""  # 8-4-4-4-12 hexadecimal digits in lower case; empty: not known, so for all texts
    vendor_id: int | None = None
    device_id: int | None = None
    model: str = ""
    serial_number: str = ""
    driver_version: str = ""
    integrated: bool | None = None
    subdevices: int | None = None  # tiles
    memory_ok: Indicator = Indicator()
    bus_ok: Indicator = Indicator()
    soc_ok: Indicator = Indicator()
    state: DeviceState = DeviceState()
    pci: PciLink = PciLink()
    memory: tuple[MemoryModule, ...] = ()
    temperatures: tuple[TemperatureSensor, ...] = ()
    power: tuple[PowerDomain, ...] = ()
    frequencies: tuple[FrequencyDomain, ...] = ()
    engines: tuple[EngineGroup, ...] = ()
    ras: tuple[RasErrorSet, ...] = ()
    firmwares: tuple[Firmware, ...] = ()
    fabric_ports: tuple[Port, ...] = ()
    groups: Mapping[Group, GroupStatus] = field(default_factory=dict, hash=False)

    @property
    def memory_bytes(self) -> int | None:
        """What all memory modules together offer software; None for integrated devices, which have none."""
        sizes = [module.size_bytes for module in self.memory if module.size_bytes]
        return sum(sizes) if sizes and not self.integrated else None

    def highest(self, kind: TemperatureKind) -> TemperatureSensor | None:
        """The hottest sensor of a kind, None when no sensor of it has a value."""
        known = [sensor for sensor in self.temperatures if sensor.kind is kind and sensor.celsius is not None]
        return max(known, key=lambda sensor: sensor.celsius or 0.0, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceProblem:
    """Something that went wrong in the source and was worked around."""

    subject: str  # a PCI address, a library, a driver
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WslDevices:
    """Devices of the Windows Subsystem for Linux have no PCI address; their index is what ZE_AFFINITY_MASK takes."""

    indices: tuple[int, ...] = ()
    hierarchy: str = ""  # ZE_FLAT_DEVICE_HIERARCHY: FLAT, COMPOSITE or COMBINED


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSnapshot:
    """All devices of a node, as one source sees them at one moment."""

    mode: Mode = Mode.UNSPECIFIED
    unavailable: str = ""  # why there is nothing to read, e.g. a missing library; empty: there is
    collector_version: str = ""
    api_version: str = ""
    loader_version: str = ""
    driver_versions: tuple[str, ...] = ()
    devices: tuple[DeviceReading, ...] = ()
    problems: tuple[SourceProblem, ...] = ()
    wsl: WslDevices | None = None


@dataclass(frozen=True, kw_only=True)  # no slots: with them a frozen class cannot be made by the name of an alias
class Message(Generic[P_co]):
    """A message: a payload, whose it is, and how long it is good."""

    source: str  # who measures, e.g. level-zero
    node: str  # the Kubernetes node's name
    boot_id: str  # of the machine that measured
    start_sequence: int  # the first sequence number since the publisher started; a later start has a higher one
    sequence: int  # grows with every message
    wall_time: float  # when the message was made, Unix seconds
    monotonic_time: float  # the same on CLOCK_MONOTONIC in seconds, comparable where `boot_id` is the same
    validity: float  # seconds; after this time without a newer message the content is stale
    payload: P_co


Envelope = Message[DeviceSnapshot]
