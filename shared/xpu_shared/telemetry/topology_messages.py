"""Topology snapshots to protobuf messages and back: what cannot be is not written, and dropped when it is read."""

from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from xpu_shared.telemetry.bounds import (
    LONGEST_REASON,
    MOST_DEVICES,
    MOST_PROBLEMS,
    UINT32,
    UINT64,
    first,
    text,
    whole,
)
from xpu_shared.telemetry.decoding import hyphenated
from xpu_shared.telemetry.fabric_messages import (
    MOST_LANES,
    MOST_TILES,
    address_of,
    end_message,
    end_of,
    port_message,
    port_of,
)
from xpu_shared.telemetry.readings import SourceProblem
from xpu_shared.telemetry.records import word
from xpu_shared.telemetry.topology import Link, LinkHealth, TopologyDevice, TopologySnapshot, TopologyState
from xpu_wire import telemetry_pb2 as pb

T = TypeVar("T")

MOST_LINKS = 4096
MOST_PORTS = 8192  # of all devices
MOST_LABELS = 64
LARGEST_INDEX = 65_535
LONGEST_LABEL = 512  # bytes of a label line: a name of 253 + 63 and a value of 63

STATES, HEALTHS = tuple(TopologyState), tuple(LinkHealth)


def topology_message(snapshot: TopologySnapshot) -> pb.TopologySnapshot:
    return pb.TopologySnapshot(
        source=text(snapshot.source),
        state=STATES.index(snapshot.state),  # type: ignore[arg-type]  # enums of protobuf are numbers
        reason=text(snapshot.reason, LONGEST_REASON),
        devices=[_device(device) for device in first(snapshot.devices, MOST_DEVICES)],
        links=[_link(link) for link in first(snapshot.links, MOST_LINKS)],
        ports=[port_message(port) for port in first(snapshot.ports, MOST_PORTS)],
        problems=[
            pb.Problem(subject=text(problem.subject), text=text(problem.text, LONGEST_REASON))
            for problem in first(snapshot.problems, MOST_PROBLEMS)
        ],
        labels=[text(line, LONGEST_LABEL) for line in first(snapshot.labels, MOST_LABELS)],
    )


def _device(device: TopologyDevice) -> pb.TopologyDevice:
    return pb.TopologyDevice(
        pci_address=device.pci_address,
        index=whole(device.index, LARGEST_INDEX),
        card=whole(device.card, UINT32),
        uuid=bytes.fromhex(device.uuid.replace("-", "")),
        tiles=whole(device.tiles, MOST_TILES),
        numa_node=whole(device.numa_node, UINT32),
    )


def _link(link: Link) -> pb.FabricLink:
    return pb.FabricLink(
        a=end_message(link.a),
        b=end_message(link.b),
        lanes=min(link.lanes, MOST_LANES),
        bits_per_second=whole(link.bits_per_second, UINT64),
        status=HEALTHS.index(link.status),  # type: ignore[arg-type]  # as above
        port_pairs=min(link.port_pairs, UINT32),
    )


class TopologyReader:
    """Reads snapshots; `dropped` counts what of them could not be used, by reason."""

    topic = b"topology"

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()

    def payload(self, message: pb.Envelope) -> TopologySnapshot | None:
        """None when there is none in the message."""
        return self.snapshot(message.topology) if message.HasField("topology") else None

    def snapshot(self, message: pb.TopologySnapshot) -> TopologySnapshot:
        return TopologySnapshot(
            source=text(message.source),
            state=word(STATES, message.state),
            reason=text(message.reason, LONGEST_REASON),
            devices=self._devices(message.devices),
            links=self._links(message.links),
            ports=tuple(port for one in self._first(message.ports, MOST_PORTS) if (port := port_of(one, self.dropped))),
            problems=tuple(
                SourceProblem(subject=text(problem.subject), text=text(problem.text, LONGEST_REASON))
                for problem in self._first(message.problems, MOST_PROBLEMS)
            ),
            labels=tuple(text(line, LONGEST_LABEL) for line in self._first(message.labels, MOST_LABELS)),
        )

    def _first(self, values: Sequence[T], most: int) -> Sequence[T]:
        self.dropped["too many"] += max(0, len(values) - most)
        return first(values, most)

    def _devices(self, messages: Sequence[pb.TopologyDevice]) -> tuple[TopologyDevice, ...]:
        devices: dict[str, TopologyDevice] = {}
        for message in self._first(messages, MOST_DEVICES):
            address = address_of(message.pci_address)
            if not address:
                self.dropped["device without address"] += 1
            elif address in devices:
                self.dropped["device twice"] += 1
            else:
                devices[address] = TopologyDevice(
                    pci_address=address,
                    index=self._bounded(message.index, LARGEST_INDEX) if message.HasField("index") else None,
                    card=message.card if message.HasField("card") else None,
                    uuid=self._uuid(message.uuid),
                    tiles=self._bounded(message.tiles, MOST_TILES) if message.HasField("tiles") else None,
                    numa_node=message.numa_node if message.HasField("numa_node") else None,
                )
        return tuple(devices.values())

    def _bounded(self, value: int, most: int) -> int | None:
        if value <= most:
            return value
        self.dropped["implausible value"] += 1
        return None

    def _uuid(self, number: bytes) -> str:
        if len(number) == 16:
            return hyphenated(number)
        self.dropped["implausible value"] += bool(number)
        return ""

    def _links(self, messages: Sequence[pb.FabricLink]) -> tuple[Link, ...]:
        """One for each pair of tiles: of several, such as one for each direction, that with the most lanes."""
        links: dict[frozenset[tuple[str, int]], Link] = {}
        for message in self._first(messages, MOST_LINKS):
            link = self._link(message)
            if link is None:
                continue
            pair = frozenset((end.pci_address, end.tile) for end in (link.a, link.b))
            if pair in links:
                self.dropped["link twice"] += 1
            if pair not in links or link.lanes > links[pair].lanes:
                links[pair] = link
        return tuple(links.values())

    def _link(self, message: pb.FabricLink) -> Link | None:
        a, b = end_of(message.a), end_of(message.b)
        if a is None or b is None or (a.pci_address, a.tile) == (b.pci_address, b.tile) or message.lanes > MOST_LANES:
            self.dropped["link that cannot be"] += 1
            return None
        return Link(
            a=a,
            b=b,
            lanes=message.lanes,
            bits_per_second=message.bits_per_second if message.HasField("bits_per_second") else None,
            status=word(HEALTHS, message.status),
            port_pairs=message.port_pairs,
        )
