"""Ports of the fabric to protobuf messages and back."""

from collections import Counter

from xpu_shared.telemetry.bounds import PCI_ADDRESS, UINT32, text, whole
from xpu_shared.telemetry.fabric import End, Port, PortId, PortStatus
from xpu_wire import telemetry_pb2 as pb

MOST_TILES = 1024
MOST_LANES = 65_535
STATUSES = tuple(PortStatus)


def end_message(end: End) -> pb.FabricEnd:
    return pb.FabricEnd(pci_address=end.pci_address, tile=end.tile, subdeviceless=end.subdeviceless)


def _id_message(id_: PortId) -> pb.FabricPortId:
    return pb.FabricPortId(fabric=id_.fabric, attach=id_.attach, number=id_.number)


def port_message(port: Port) -> pb.FabricPort:
    return pb.FabricPort(
        place=end_message(port.place),
        id=_id_message(port.id),
        model=text(port.model),
        status=STATUSES.index(port.status),  # type: ignore[arg-type]  # enums of protobuf are numbers
        quality_issues=whole(port.quality_issues, UINT32),
        failure_reasons=whole(port.failure_reasons, UINT32),
        remote=None if port.remote is None else _id_message(port.remote),
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


def address_of(found: str) -> str:
    """A PCI address in lower case; empty when it is none."""
    address = found.lower() if len(found) <= 16 else ""
    return address if PCI_ADDRESS.fullmatch(address) else ""


def end_of(message: pb.FabricEnd) -> End | None:
    """None when it cannot be."""
    address = address_of(message.pci_address)
    if not address or message.tile >= MOST_TILES:
        return None
    return End(address, message.tile, message.subdeviceless)


def port_of(message: pb.FabricPort, dropped: Counter[str]) -> Port | None:
    """None when it cannot be; what cannot be used is counted in `dropped`."""
    place = end_of(message.place)
    if place is None or not message.HasField("id"):
        dropped["port that cannot be"] += 1
        return None
    return Port(
        place=place,
        id=_port_id(message.id),
        model=text(message.model),
        status=STATUSES[message.status] if 0 <= message.status < len(STATUSES) else PortStatus.UNKNOWN,
        quality_issues=message.quality_issues if message.HasField("quality_issues") else None,
        failure_reasons=message.failure_reasons if message.HasField("failure_reasons") else None,
        remote=_port_id(message.remote) if message.HasField("remote") else None,
        receive_lanes=_lanes(message.receive_lanes, dropped) if message.HasField("receive_lanes") else None,
        transmit_lanes=_lanes(message.transmit_lanes, dropped) if message.HasField("transmit_lanes") else None,
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


def _lanes(count: int, dropped: Counter[str]) -> int | None:
    if count <= MOST_LANES:
        return count
    dropped["implausible value"] += 1
    return None


def _port_id(message: pb.FabricPortId) -> PortId:
    return PortId(message.fabric, message.attach, message.number)
