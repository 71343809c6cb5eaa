"""Frames that are nearly messages: sound ones, changed in a few places."""

from collections.abc import Callable, Sequence
from random import Random

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from xpu_shared.telemetry.envelope import DEVICES, subscription
from xpu_wire import telemetry_pb2 as pb

PREFIX = subscription(DEVICES)
ODD_BYTES = b"\x00\x01\x7f\x80\xff\x08\x0a\x82"
ODD_TEXTS = ("", "\0", "\n", "0000:03:00.0", "0000:FF:1F.7", "x" * 5000, "\u202e\u00e9", "🜏" * 200, "a\x1b[31m")
LARGEST_COPY = 64  # bytes of a slice that is repeated


def mutated(random: Random, seeds: Sequence[bytes]) -> bytes:
    """One frame: mostly with changed bytes, sometimes a message with values that ours never sends."""
    frame = random.choice(seeds)
    if random.random() < 0.5:
        return _with_odd_values(random, frame)
    data = bytearray(frame)
    for _ in range(random.choice((1, 1, 1, 2, 4, 16))):
        random.choice(MUTATIONS)(random, data, seeds)
    return bytes(data)


def _flip(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _replace(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] = random.choice(ODD_BYTES)


def _insert(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    place = random.randint(0, len(data))
    data[place:place] = random.randbytes(random.randint(1, 12))


def _remove(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    place = random.randint(0, len(data))
    del data[place : place + random.randint(1, 12)]


def _truncate(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    del data[random.randint(0, len(data)) :]


def _repeat(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    place = random.randint(0, len(data))
    data[place:place] = data[place : place + random.randint(1, LARGEST_COPY)] * random.choice((1, 2, 50))


def _splice(random: Random, data: bytearray, seeds: Sequence[bytes]) -> None:
    other = random.choice(seeds)
    data[random.randint(0, len(data)) :] = other[random.randint(0, len(other)) :]


def _huge_number(random: Random, data: bytearray, _: Sequence[bytes]) -> None:
    """Ten bytes of a varint, where a length or a count may be."""
    place = random.randint(0, len(data))
    data[place : place + 1] = b"\xff" * random.choice((4, 9)) + b"\x01"


MUTATIONS: tuple[Callable[[Random, bytearray, Sequence[bytes]], None], ...] = (
    _flip,
    _replace,
    _insert,
    _remove,
    _truncate,
    _repeat,
    _splice,
    _huge_number,
)


def _with_odd_values(random: Random, frame: bytes) -> bytes:
    message = pb.Envelope.FromString(frame[len(PREFIX) :])
    for _ in range(random.choice((1, 2, 8))):
        _spoil(random, message)
    return PREFIX + message.SerializeToString()


def _spoil(random: Random, message: Message) -> None:
    """Give one field of a message, or of one within it, a value that the wire allows and ours never sends."""
    fields: list[FieldDescriptor] = list(message.DESCRIPTOR.fields)  # type: ignore[arg-type]  # upb's has the same
    deeper = [field for field in fields if field.type == FieldDescriptor.TYPE_MESSAGE]
    field = random.choice(deeper if deeper and random.random() < 0.8 else fields)
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        inner = getattr(message, field.name)
        if field.is_repeated:
            if not inner or random.random() < 0.2:
                inner.add()
            inner = random.choice(inner)
        _spoil(random, inner)
    elif random.random() < 0.1:
        message.ClearField(field.name)
    elif field.is_repeated:
        getattr(message, field.name).extend([_odd(random, field)] * random.choice((1, 20, 300)))
    else:
        setattr(message, field.name, _odd(random, field))


def _odd(random: Random, field: FieldDescriptor) -> object:
    if field.type == FieldDescriptor.TYPE_STRING:
        return random.choice(ODD_TEXTS)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return random.randbytes(random.choice((0, 1, 15, 16, 17, 300)))
    if field.type == FieldDescriptor.TYPE_BOOL:
        return random.random() < 0.5
    if field.type == FieldDescriptor.TYPE_ENUM:
        return random.choice((-(2**31), -1, 0, 1, 99, 2**31 - 1))
    least, most = {
        FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
        FieldDescriptor.TYPE_SINT32: (-(2**31), 2**31 - 1),
        FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
    }[field.type]
    return random.choice((least, most, 0, 1, random.randint(least, most)))
