"""Topology snapshots as bytes: golden vectors, round trips, and what a reader does with what it cannot use."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from fabric_examples import fabric, mesh, publishing
from telemetry_examples import envelope
from telemetry_transport import until
from xpu_shared.telemetry.decoding import SnapshotReader
from xpu_shared.telemetry.envelope import MalformedMessageError, decode, encode
from xpu_shared.telemetry.fabric import End, Port, PortId, PortStatus
from xpu_shared.telemetry.readings import DeviceSnapshot, Message, SourceProblem
from xpu_shared.telemetry.subscriber import Subscriber
from xpu_shared.telemetry.topology import Link, LinkHealth, TopologyDevice, TopologySnapshot, TopologyState
from xpu_shared.telemetry.topology_messages import MOST_LINKS, MOST_PORTS, TopologyReader
from xpu_wire import telemetry_pb2 as pb

PREFIX = b"topology\0"
HEAD = (
    "746f706f6c6f6779 00 0801 120a 6c6576656c2d7a65726f 1a06 6e6f64652d31"
    "2224 36663166386530612d356330652d346130622d396430652d376135623363326431653066"
    "2805 3007 38fdd8c1a28c34 40d461 48b817"
)
EVERY_FIELD = (
    "8a01bf020a066e617469766510011a017222280a0c303030303a32393a30302e30100018012210000000000000000000010000e2b80386"
    "28023000220e0a0c303030303a33613a30302e302a310a100a0c303030303a32393a30302e30100112100a0c303030303a33613a30302e"
    "30180118062080a4afb8c501280230022a200a0e0a0c303030303a32393a30302e30120e0a0c303030303a33613a30302e3032500a100a"
    "0c303030303a32393a30302e30100112060804100118021801200128043206080710011801380440024880a4afb8c5015080a4afb8c501"
    "580160026803700478058001008a010658654c696e6b32140a0e0a0c303030303a33613a30302e30120018043a190a0c303030303a3239"
    "3a30302e30120968616c66206c696e6b421e6770752e696e74656c2e636f6d2f78652d6c696e6b733d302e312d312e30"
)
A, B = "0000:29:00.0", "0000:3a:00.0"
EVERYTHING = TopologySnapshot(
    source="native",
    state=TopologyState.OK,
    reason="r",
    devices=(
        TopologyDevice(
            pci_address=A, index=0, card=1, uuid="00000000-0000-0000-0001-0000e2b80386", tiles=2, numa_node=0
        ),
        TopologyDevice(pci_address=B),
    ),
    links=(
        Link(
            a=End(A, 1),
            b=End(B, 0, True),
            lanes=6,
            bits_per_second=53_000_000_000,
            status=LinkHealth.DEGRADED,
            port_pairs=2,
        ),
        Link(a=End(A), b=End(B), lanes=0),
    ),
    ports=(
        Port(
            place=End(A, 1),
            id=PortId(4, 1, 2),
            model="XeLink",
            status=PortStatus.HEALTHY,
            quality_issues=1,
            failure_reasons=4,
            remote=PortId(7, 1, 1),
            receive_lanes=4,
            transmit_lanes=2,
            receive_bits_per_second=53_000_000_000,
            transmit_bits_per_second=53_000_000_000,
            received_bytes=1,
            transmitted_bytes=2,
            link_failures=3,
            firmware_communication_errors=4,
            firmware_errors=5,
            link_degradations=0,
        ),
        Port(place=End(B), id=PortId(0, 0, 0), status=PortStatus.DISABLED),
    ),
    problems=(SourceProblem(subject=A, text="half link"),),
    labels=("gpu.intel.com/xe-links=0.1-1.0",),
)


def message(snapshot: TopologySnapshot) -> Message[TopologySnapshot]:
    return replace(envelope(), payload=snapshot)  # type: ignore[arg-type, return-value]  # another payload


def read(frame: bytes) -> tuple[TopologySnapshot, TopologyReader]:
    reader = TopologyReader()
    return decode(frame, reader).payload, reader


def forged(change: Callable[[pb.TopologySnapshot], object]) -> bytes:
    sound = pb.Envelope.FromString(encode(message(EVERYTHING))[len(PREFIX) :])
    change(sound.topology)
    return PREFIX + sound.SerializeToString()


@pytest.mark.parametrize(
    ("payload", "tail"),
    [
        pytest.param(TopologySnapshot(), "8a01 00", id="nothing"),
        pytest.param(
            TopologySnapshot(source="xpum-1.x", state=TopologyState.NONE, labels=("a/xe-links=",)),
            "8a01 19 0a08 7870756d2d312e78 1002 420b 612f78652d6c696e6b733d",
            id="no link",
        ),
        pytest.param(
            TopologySnapshot(links=(Link(a=End(A), b=End(B, 1), lanes=4),)),
            "8a01 26 2a24 0a0e 0a0c 303030303a32393a30302e30 1210 0a0c 303030303a33613a30302e30 1001 1804",
            id="one link",
        ),
    ],
)
def test_golden_bytes(payload: TopologySnapshot, tail: str) -> None:
    assert encode(message(payload)).hex() == bytes.fromhex(HEAD + tail).hex()
    assert read(encode(message(payload)))[0] == payload


def test_golden_bytes_of_every_field() -> None:
    assert encode(message(EVERYTHING))[len(bytes.fromhex(HEAD)) :].hex() == EVERY_FIELD
    found, reader = read(encode(message(EVERYTHING)))
    assert found == EVERYTHING
    assert not +reader.dropped


def tile(end: End) -> tuple[str, int]:
    return end.pci_address, end.tile


u32, u64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
addresses = st.sampled_from([A, B, "0001:ff:1f.7"])
ends = st.builds(End, addresses, st.integers(0, 1023), st.booleans())
ids = st.builds(PortId, u32, u32, u32)


@settings(deadline=None)
@given(
    st.builds(
        TopologySnapshot,
        source=st.sampled_from(["native", "xpum-1.x"]),
        state=st.sampled_from(TopologyState),
        links=st.lists(
            st.tuples(ends, ends)
            .filter(lambda pair: tile(pair[0]) != tile(pair[1]))
            .flatmap(
                lambda pair: st.builds(
                    Link,
                    a=st.just(pair[0]),
                    b=st.just(pair[1]),
                    lanes=st.integers(0, 65535),
                    bits_per_second=st.none() | u64,
                    status=st.sampled_from(LinkHealth),
                    port_pairs=u32,
                )
            ),
            max_size=4,
            unique_by=lambda link: frozenset((tile(link.a), tile(link.b))),
        ).map(tuple),
        ports=st.lists(
            st.builds(
                Port,
                place=ends,
                id=ids,
                status=st.sampled_from(PortStatus),
                remote=st.none() | ids,
                receive_lanes=st.none() | st.integers(0, 65535),
                received_bytes=st.none() | u64,
                link_failures=st.none() | u64,
            ),
            max_size=4,
        ).map(tuple),
    )
)
def test_what_is_written_is_read(snapshot: TopologySnapshot) -> None:
    found, reader = read(encode(message(snapshot)))
    assert found == snapshot
    assert not +reader.dropped


def many_links(like: pb.FabricLink) -> Iterator[pb.FabricLink]:
    for number in range(MOST_LINKS):
        link = pb.FabricLink()
        link.CopyFrom(like)
        link.a.tile, link.b.tile = number % 1000, 10 + number // 1000
        yield link


def test_of_several_links_between_two_tiles_that_with_the_most_lanes_counts() -> None:
    def both_directions(message: pb.TopologySnapshot) -> None:
        del message.links[1:]
        narrow = message.links[0]
        for wider in (narrow.lanes + 1, narrow.lanes + 4, narrow.lanes):
            link = message.links.add(lanes=wider)
            link.a.CopyFrom(narrow.b)
            link.b.CopyFrom(narrow.a)
            link.b.subdeviceless = not link.b.subdeviceless

    lanes = EVERYTHING.links[0].lanes
    found, reader = read(forged(both_directions))
    assert [link.lanes for link in found.links] == [lanes + 4]
    assert +reader.dropped == {"link twice": 3}


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (lambda message: setattr(message.devices[0], "pci_address", "../../etc"), "device without address"),
        (lambda message: setattr(message.devices[1], "pci_address", A), "device twice"),
        (lambda message: setattr(message.devices[0], "uuid", b"short"), "implausible value"),
        (lambda message: setattr(message.devices[0], "tiles", 5000), "implausible value"),
        (lambda message: setattr(message.links[0].a, "pci_address", "x"), "link that cannot be"),
        (lambda message: setattr(message.links[0].a, "tile", 2**31), "link that cannot be"),
        (lambda message: setattr(message.links[0], "lanes", 70_000), "link that cannot be"),
        (lambda message: message.links[1].b.CopyFrom(message.links[1].a), "link that cannot be"),
        (lambda message: message.ports[0].ClearField("id"), "port that cannot be"),
        (lambda message: message.ports[0].ClearField("place"), "port that cannot be"),
        (lambda message: setattr(message.ports[0], "receive_lanes", 2**31), "implausible value"),
        (lambda message: message.links.extend([message.links[0]]), "link twice"),
        (lambda message: message.links.extend(many_links(message.links[0])), "too many"),
        (lambda message: message.ports.extend([message.ports[0]] * MOST_PORTS), "too many"),
    ],
)
def test_what_cannot_be_costs_only_itself(lie: Callable[[pb.TopologySnapshot], object], reason: str) -> None:
    found, reader = read(forged(lie))

    assert set(+reader.dropped) == {reason}
    assert found.labels == EVERYTHING.labels


def test_words_of_a_newer_version_are_unknown() -> None:
    def newer(message: pb.TopologySnapshot) -> None:
        message.state = 9  # type: ignore[assignment]
        message.links[0].status = 9  # type: ignore[assignment]
        message.ports[0].status = 9  # type: ignore[assignment]

    found, _ = read(forged(newer))
    assert (found.state, found.links[0].status, found.ports[0].status) == (
        TopologyState.UNKNOWN,
        LinkHealth.UNKNOWN,
        PortStatus.UNKNOWN,
    )


def test_each_topic_has_its_own_payload() -> None:
    devices = encode(envelope(DeviceSnapshot()))
    with pytest.raises(MalformedMessageError, match="expected topic topology"):
        decode(devices, TopologyReader())
    with pytest.raises(MalformedMessageError, match="no snapshot of topology"):
        decode(devices.replace(b"devices\0", PREFIX), TopologyReader())
    with pytest.raises(MalformedMessageError, match="expected topic devices"):
        decode(encode(message(EVERYTHING)), SnapshotReader())


async def test_over_a_socket(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/run/xelink.sock"
    snapshot = fabric([A, B], mesh([A, B]))
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    subscriber = Subscriber(endpoint, reader=TopologyReader(), context=context)
    task = asyncio.create_task(subscriber.run())
    with publishing(endpoint) as publisher:
        publisher.publish(snapshot)
        await until(lambda: subscriber.newest is not None)
    task.cancel()
    await asyncio.wait({task})
    context.destroy(0)
    assert subscriber.newest is not None
    assert subscriber.newest.envelope.payload == snapshot
