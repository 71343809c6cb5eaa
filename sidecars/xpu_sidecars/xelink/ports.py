"""Fabric ports to links: which port is connected with which, and how wide the way between two tiles is.

Both sides have to name each other. Everything that is odd about a port costs that port, and is told.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from xpu_shared.telemetry.fabric import End, Port, PortId, PortStatus
from xpu_shared.telemetry.readings import SourceProblem
from xpu_shared.telemetry.topology import Link, LinkHealth

MODEL = "xelink"  # is part of the model of a port that joins GPUs; a model may also be unknown
CONNECTED = (PortStatus.HEALTHY, PortStatus.DEGRADED)  # the remote port is told in these only


@dataclass(frozen=True, slots=True)
class Joined:
    links: tuple[Link, ...]  # in the order of their ends
    problems: tuple[SourceProblem, ...]
    errors: Mapping[str, int]  # by reason


@dataclass(slots=True)
class _Oddities:
    problems: list[SourceProblem] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def note(self, port: Port, reason: str, text: str) -> None:
        self.errors[reason] += 1
        self.problems.append(SourceProblem(subject=f"{where(port.place)} port {named(port.id)}", text=text))


def where(end: End) -> str:
    return end.pci_address if end.subdeviceless else f"{end.pci_address} tile {end.tile}"


def named(id_: PortId) -> str:
    return f"{id_.fabric}.{id_.attach}.{id_.number}"


def joined(ports: Sequence[Port], order: Mapping[str, int], *, accept_degraded: bool) -> Joined:
    """The links of all ports of a node.

    Args:
        order: places of the devices, by PCI address.
        accept_degraded: degraded ports join GPUs too.
    """
    odd = _Oddities()
    by_id = _distinct([port for port in ports if MODEL in port.model.lower() or not port.model], odd)
    usable = CONNECTED if accept_degraded else CONNECTED[:1]
    pairs: dict[tuple[End, End], list[tuple[Port, Port]]] = {}
    tiles: dict[tuple[str, int], End] = {}  # each once, also where ports do not agree on whether it is one
    for port, other in _connected(by_id, odd):
        if port.status not in usable or other.status not in usable:
            worst = port if port.status not in usable else other
            odd.note(worst, "degraded port", f"is {worst.status}: its link is not used")
            continue
        places = [tiles.setdefault((one.place.pci_address, one.place.tile), one.place) for one in (port, other)]
        if places[0] == places[1]:
            odd.note(port, "self link", f"leads to port {named(other.id)} of the same tile")
            continue
        ends = sorted(places, key=lambda end: _order(end, order))
        pairs.setdefault((ends[0], ends[1]), []).append((port, other))
    found = sorted(pairs.items(), key=lambda item: tuple(_order(end, order) for end in item[0]))
    return Joined(tuple(_link(a, b, both) for (a, b), both in found), tuple(odd.problems), odd.errors)


def _order(end: End, order: Mapping[str, int]) -> tuple[int, str, int]:
    return order.get(end.pci_address, len(order)), end.pci_address, end.tile


def _distinct(ports: Sequence[Port], odd: _Oddities) -> dict[PortId, Port]:
    """Ports by id; of those that share one none can be used."""
    counts = Counter(port.id for port in ports)
    for port in ports:
        if counts[port.id] > 1:
            odd.note(port, "port id twice", f"{counts[port.id]} ports have its id")
    return {port.id: port for port in ports if counts[port.id] == 1}


def _connected(by_id: Mapping[PortId, Port], odd: _Oddities) -> Iterator[tuple[Port, Port]]:
    """Pairs of ports that name each other, each once."""
    for port in by_id.values():
        if port.status not in CONNECTED or port.remote is None:
            continue
        other = by_id.get(port.remote)
        if other is None:
            odd.note(port, "half link", f"leads to port {named(port.remote)}, which is not known")
        elif other is port:
            odd.note(port, "self link", "leads to itself")
        elif other.status not in CONNECTED or other.remote != port.id:
            odd.note(port, "half link", f"leads to port {named(port.remote)}, which does not lead back")
        elif port.id < other.id:
            yield port, other


def _link(a: End, b: End, pairs: Collection[tuple[Port, Port]]) -> Link:
    rates = [rate for pair in pairs for port in pair for rate in _rates(port) if rate]
    degraded = any(port.status is PortStatus.DEGRADED for pair in pairs for port in pair)
    return Link(
        a=a,
        b=b,
        lanes=sum(lanes(port, other) for port, other in pairs),
        bits_per_second=min(rates, default=None),
        status=LinkHealth.DEGRADED if degraded else LinkHealth.HEALTHY,
        port_pairs=len(pairs),
    )


def lanes(port: Port, other: Port) -> int:
    """The narrowest of four widths, of those that are known; 0 when none is."""
    widths = (port.receive_lanes, port.transmit_lanes, other.receive_lanes, other.transmit_lanes)
    return min((width for width in widths if width is not None), default=0)


def _rates(port: Port) -> tuple[int | None, int | None]:
    return port.receive_bits_per_second, port.transmit_bits_per_second


def label_value(links: Sequence[Link], indices: Mapping[str, int], *, lanes: int) -> str:
    """The links with enough lanes, by the numbers that labels name devices with; sorted as numbers."""
    texts = []
    for link in links:
        a, b = indices.get(link.a.pci_address), indices.get(link.b.pci_address)
        if a is not None and b is not None and link.lanes >= lanes:
            texts.append(tuple(sorted(((a, link.a.tile), (b, link.b.tile)))))
    return "_".join(f"{a}.{tile}-{b}.{other}" for (a, tile), (b, other) in sorted(texts))
