"""Any reading that can be measured comes out of its bytes as it went in."""

import tracemalloc
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry_examples import envelope
from xpu_shared.telemetry import readings
from xpu_shared.telemetry.decoding import SnapshotReader
from xpu_shared.telemetry.envelope import decode, encode
from xpu_shared.telemetry.fabric import End, Port, PortId, PortStatus
from xpu_shared.telemetry.kinds import Group, Mode, ThrottleReason
from xpu_shared.telemetry.readings import DeviceReading, DeviceSnapshot, GroupStatus, SourceProblem, WslDevices
from xpu_wire import telemetry_pb2 as pb

TEXTS = st.text(st.characters(categories=("L", "N", "P")), max_size=60)
UINT32 = st.integers(0, 2**32 - 1)
UINT64 = st.integers(0, 2**64 - 1)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: UINT32,
    bool: st.booleans(),
    frozenset[ThrottleReason]: st.frozensets(st.sampled_from(ThrottleReason)),
}
LONG_FIELDS = ("bytes", "bytes_per_second", "errors", "resets", "replays")  # how counters of 64 bits end
MEASUREMENTS = {  # of a field's last word, in thousandths or millionths
    "celsius": st.integers(-60_000, 250_000).map(lambda value: value / 1000),
    "watts": st.integers(0, 100_000_000).map(lambda value: value / 1000),
    "joules": st.integers(0, 2**52).map(lambda value: value / 1_000_000),
    "volts": st.integers(0, 1_000_000).map(lambda value: value / 1000),
    "ratio": st.integers(0, 1_000_000).map(lambda value: value / 1_000_000),
    "utilisation": st.integers(0, 1_000_000).map(lambda value: value / 1_000_000),
    "hertz": st.integers(0, 10**12),
}


def values(name: str, hint: Any) -> st.SearchStrategy[Any]:
    """What a field of a record may hold, by its name and type."""
    if isinstance(hint, UnionType):
        (some,) = (part for part in get_args(hint) if part is not NoneType)
        return st.none() | values(name, some)
    if hint is int and name.endswith(LONG_FIELDS):
        return UINT64
    word = name.rpartition("_")[2]
    if word in MEASUREMENTS:
        return MEASUREMENTS[word]
    if get_origin(hint) is tuple:
        return st.lists(records(get_args(hint)[0]), max_size=2).map(tuple)
    if hint in PLAIN:
        return PLAIN[hint]
    return records(hint) if hint.__module__ == readings.__name__ else st.sampled_from(hint)


def records(record: type) -> st.SearchStrategy[Any]:
    if record is GroupStatus:
        error = st.builds(readings.ResultError, code=UINT32, text=TEXTS)
        age = st.integers(0, 2**32 - 1).map(lambda value: value / 1000)
        return st.builds(GroupStatus, age=st.none() | age, last_error=st.none() | error)
    hints = get_type_hints(record)
    return st.builds(record, **{field.name: values(field.name, hints[field.name]) for field in fields(record)})


ADDRESSES = st.builds("{:04x}:{:02x}:{:02x}.{}".format, *map(st.integers, (0,) * 4, (0xFFFF, 0xFF, 0x1F, 7)))
IDS = st.builds(PortId, UINT32, UINT32, UINT32)
PORTS = st.lists(
    st.builds(
        Port,
        place=st.builds(End, ADDRESSES, st.integers(0, 1023), st.booleans()),
        id=IDS,
        model=TEXTS,
        status=st.sampled_from(PortStatus),
        remote=st.none() | IDS,
        transmit_lanes=st.none() | st.integers(0, 65_535),
        receive_bits_per_second=st.none() | UINT64,
        transmitted_bytes=st.none() | UINT64,
    ),
    max_size=2,
).map(tuple)
OTHERS = ("pci_address", "uuid", "groups", "fabric_ports")
GROUPS = st.dictionaries(st.sampled_from([*Group][1:]), records(GroupStatus))


@st.composite
def snapshots(draw: st.DrawFn) -> DeviceSnapshot:
    hints = get_type_hints(DeviceReading)
    others = {name: values(name, hint) for name, hint in hints.items() if name not in OTHERS}
    devices = st.builds(
        DeviceReading,
        pci_address=ADDRESSES,
        uuid=st.just("") | st.uuids().map(str),
        groups=GROUPS,
        fabric_ports=PORTS,
        **others,
    )
    return DeviceSnapshot(
        mode=draw(st.sampled_from(Mode)),
        unavailable=draw(TEXTS),
        collector_version=draw(TEXTS),
        api_version=draw(TEXTS),
        loader_version=draw(TEXTS),
        driver_versions=draw(st.lists(TEXTS, max_size=2).map(tuple)),
        devices=tuple(draw(st.lists(devices, max_size=2, unique_by=lambda device: device.pci_address))),
        problems=draw(st.lists(st.builds(SourceProblem, subject=TEXTS, text=TEXTS), max_size=2).map(tuple)),
        wsl=draw(st.none() | st.builds(WslDevices, indices=st.lists(UINT32).map(tuple), hierarchy=TEXTS)),
    )


@given(snapshots())
@settings(max_examples=150)
def test_round_trip(snapshot: DeviceSnapshot) -> None:
    reader = SnapshotReader()

    assert decode(encode(envelope(snapshot)), reader) == envelope(snapshot)
    assert not reader.dropped


@given(st.lists(snapshots(), min_size=1, max_size=4), st.lists(st.integers(0, 3), max_size=8))
@settings(max_examples=30)
def test_what_a_reader_remembers_of_one_message_is_right_for_the_next(
    various: list[DeviceSnapshot], order: list[int]
) -> None:
    reader = SnapshotReader()

    for number in order:
        message = envelope(various[number % len(various)])
        assert decode(encode(message), reader) == message


def test_what_a_reader_remembers_of_large_messages_is_little() -> None:
    reader = SnapshotReader()
    message = pb.Envelope.FromString(encode(envelope(DeviceSnapshot())).partition(b"\0")[2])
    message.devices.devices.add(pci_address="0000:03:00.0")
    tracemalloc.start()
    try:
        for number in range(20):
            message.devices.devices[0].memory_ok.reason = f"{number} {'x' * 1_000_000}"
            decode(b"devices\0" + message.SerializeToString(), reader)
        assert tracemalloc.get_traced_memory()[0] < 2_000_000
    finally:
        tracemalloc.stop()
