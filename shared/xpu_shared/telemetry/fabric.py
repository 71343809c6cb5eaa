"""Ports of the fabric that joins GPUs, and where they sit. Values only."""

from dataclasses import dataclass
from enum import StrEnum


class PortStatus(StrEnum):
    """The order is that of the numbers on the wire."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    FAILED = "failed"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, order=True)
class End:
    """One tile, or a device without tiles of its own, which has tile 0."""

    pci_address: str
    tile: int = 0
    subdeviceless: bool = False


@dataclass(frozen=True, slots=True, order=True)
class PortId:
    fabric: int
    attach: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port of the fabric. Counters grow from some moment before the source's start."""

    place: End
    id: PortId
    model: str = ""
    status: PortStatus = PortStatus.UNKNOWN
    quality_issues: int | None = None  # bits: 1 link errors, 2 speed
    failure_reasons: int | None = None  # bits: 1 failed, 2 training timeout, 4 flapping
    remote: PortId | None = None
    receive_lanes: int | None = None  # at most; so the next three
    transmit_lanes: int | None = None
    receive_bits_per_second: int | None = None  # of one lane
    transmit_bits_per_second: int | None = None
    received_bytes: int | None = None
    transmitted_bytes: int | None = None
    link_failures: int | None = None
    firmware_communication_errors: int | None = None
    firmware_errors: int | None = None
    link_degradations: int | None = None
