"""How the GPUs of a node are joined, as a XeLink sidecar publishes it. Values only, independent of the wire."""

from dataclasses import dataclass
from enum import StrEnum

from xpu_shared.telemetry.fabric import End, Port
from xpu_shared.telemetry.readings import SourceProblem


class TopologyState(StrEnum):
    """The order is that of the numbers on the wire, here and below."""

    UNKNOWN = "unknown"
    OK = "ok"
    NONE = "none"  # there is no XeLink


class LinkHealth(StrEnum):
    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    DEGRADED = "degraded"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyDevice:
    pci_address: str
    index: int | None = None  # by which labels name it; None: they cannot
    card: int | None = None  # N of DRM's cardN
    uuid: str = ""
    tiles: int | None = None
    numa_node: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """All direct connections of two tiles."""

    a: End
    b: End
    lanes: int
    bits_per_second: int | None = None  # of one lane, at most; None: the source knows no rate
    status: LinkHealth = LinkHealth.UNKNOWN
    port_pairs: int = 0  # 0: the source does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologySnapshot:
    """The whole fabric of a node, as one source sees it at one moment."""

    source: str = ""  # native or xpum-1.x
    state: TopologyState = TopologyState.UNKNOWN
    reason: str = ""  # why it is unknown
    devices: tuple[TopologyDevice, ...] = ()
    links: tuple[Link, ...] = ()
    ports: tuple[Port, ...] = ()  # as far as the source knows them
    problems: tuple[SourceProblem, ...] = ()
    labels: tuple[str, ...] = ()  # lines, NAME=VALUE
