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
from xpu_shared.telemetry.decoding import PCI_ADDRESS, hyphenated
from xpu_shared.telemetry.readings import SourceProblem
from xpu_shared.telemetry.records import word
from xpu_shared.telemetry.topology import (
    End,
    Link,
    LinkHealth,
    Port,
    PortId,
    PortStatus,
    TopologyDevice,
    TopologySnapshot,
    TopologyState,
)
from xpu_wire import telemetry_pb2 as pb

T = TypeVar("T")

MOST_LINKS = 4096
MOST_PORTS = 8192
MOST_LABELS = 64
MOST_TILES = 1024
MOST_LANES = 65_535
LARGEST_INDEX = 65_535
LONGEST_LABEL = 512  # bytes of a label line: a name of 253 + 63 and a value of 63

STATES, HEALTHS, STATUSES = tuple(TopologyState), tuple(LinkHealth), tuple(PortStatus)


def topology_message(snapshot: TopologySnapshot) -> pb.TopologySnapshot:
    return pb.TopologySnapshot(
        source=text(snapshot.source),
        state=STATES.index(snapshot.state),  # type: ignore[arg-type]  # enums of protobuf are numbers
        reason=text(snapshot.reason, LONGEST_REASON),
        devices=[_device(device) for device in first(snapshot.devices, MOST_DEVICES)],
        links=[_link(link) for link in first(snapshot.links, MOST_LINKS)],
        ports=[_port(port) for port in first(snapshot.ports, MOST_PORTS)],
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


def _end(end: End) -> pb.FabricEnd:
    return pb.FabricEnd(pci_address=end.pci_address, tile=end.tile, subdeviceless=end.subdeviceless)


def _link(link: Link) -> pb.FabricLink:
    return pb.FabricLink(
        a=_end(link.a),
        b=_end(link.b),
        lanes=min(link.lanes, MOST_LANES),
        bits_per_second=whole(link.bits_per_second, UINT64),
        status=HEALTHS.index(link.status),  # type: ignore[arg-type]  # as above
        port_pairs=min(link.port_pairs, UINT32),
    )


def _id(id_: PortId) -> pb.FabricPortId:
    return pb.FabricPortId(fabric=id_.fabric, attach=id_.attach, number=id_.number)


def _port(port: Port) -> pb.FabricPort:
    return pb.FabricPort(
        place=_end(port.place),
        id=_id(port.id),
        model=text(port.model),
        status=STATUSES.index(port.status),  # type: ignore[arg-type]  # as above
        quality_issues=whole(port.quality_issues, UINT32),
        failure_reasons=whole(port.failure_reasons, UINT32),
        remote=None if port.remote is None else _id(port.remote),
        receive_lanes=whole(port.receive_lanes, MOST_LANES),
        transmit_lanes=whole(port.transmit_lanes, MOST_LANES),
        receive_bits_per_second=whole(port.receive_bits_per_second),
        transmit_bits_per_second=whole(port.transmit_bits_per_second),
        received_bytes=whole(port.received_bytes),
        transmitted_bytes=whole(port.transmitted_bytes),
        link_failures=whole(port.link_failures),
        firmware_communication_errors=whole(port.firmware_communication_errors),
        firmware_errors=whole(port.firmware_errors),
        link_degradations=whole(port.link_degradations),
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
            links=tuple(link for one in self._first(message.links, MOST_LINKS) if (link := self._link(one))),
            ports=tuple(port for one in self._first(message.ports, MOST_PORTS) if (port := self._port(one))),
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
            address = _address(message.pci_address)
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

    def _end(self, message: pb.FabricEnd) -> End | None:
        address = _address(message.pci_address)
        if not address or message.tile >= MOST_TILES:
            return None
        return End(address, message.tile, message.subdeviceless)

    def _link(self, message: pb.FabricLink) -> Link | None:
        a, b = self._end(message.a), self._end(message.b)
        if a is None or b is None or a == b or message.lanes > MOST_LANES:
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

    def _port(self, message: pb.FabricPort) -> Port | None:
        place = self._end(message.place)
        if place is None or not message.HasField("id"):
            self.dropped["port that cannot be"] += 1
            return None
        lanes = message.receive_lanes, message.transmit_lanes
        receive, transmit = (self._bounded(count, MOST_LANES) for count in lanes)
        return Port(
            place=place,
            id=_port_id(message.id),
            model=text(message.model),
            status=word(STATUSES, message.status),
            quality_issues=message.quality_issues if message.HasField("quality_issues") else None,
            failure_reasons=message.failure_reasons if message.HasField("failure_reasons") else None,
            remote=_port_id(message.remote) if message.HasField("remote") else None,
            receive_lanes=receive if message.HasField("receive_lanes") else None,
            transmit_lanes=transmit if message.HasField("transmit_lanes") else None,
            receive_bits_per_second=message.receive_bits_per_second
            if message.HasField("receive_bits_per_second")
            else None,
            transmit_bits_per_second=message.transmit_bits_per_second
            if message.HasField("transmit_bits_per_second")
            else None,
            received_bytes=message.received_bytes if message.HasField("received_bytes") else None,
            transmitted_bytes=message.transmitted_bytes if message.HasField("transmitted_bytes") else None,
            link_failures=message.link_failures if message.HasField("link_failures") else None,
            firmware_communication_errors=message.firmware_communication_errors
            if message.HasField("firmware_communication_errors")
            else None,
            firmware_errors=message.firmware_errors if message.HasField("firmware_errors") else None,
            link_degradations=message.link_degradations if message.HasField("link_degradations") else None,
        )


def _port_id(message: pb.FabricPortId) -> PortId:
    return PortId(message.fabric, message.attach, message.number)


def _address(found: str) -> str:
    """In lower case; empty when it is none."""
    address = found.lower() if len(found) <= 16 else ""
    return address if PCI_ADDRESS.fullmatch(address) else ""
