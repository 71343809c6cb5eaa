"""Messages as bytes: one ZeroMQ frame is a topic, a NUL byte and a protobuf Envelope.

A single frame survives CONFLATE, which keeps one frame of a multipart message, and a subscription to a topic with its
NUL is no prefix of another topic's.
"""

import re
from collections import Counter
from typing import Final, Protocol, TypeVar

from google.protobuf.message import DecodeError

from xpu_shared.telemetry.bounds import LARGEST, text
from xpu_shared.telemetry.encoding import snapshot_message
from xpu_shared.telemetry.readings import DeviceSnapshot, Message
from xpu_shared.telemetry.topology import TopologySnapshot
from xpu_shared.telemetry.topology_messages import topology_message
from xpu_wire import telemetry_pb2 as pb

P = TypeVar("P")
R_co = TypeVar("R_co", covariant=True)

DEVICES: Final = b"devices"  # the topic of device snapshots
TOPOLOGY: Final = b"topology"  # and of topology snapshots
SCHEMA_VERSION = 1
LONGEST_VALIDITY = 24 * 3600.0  # seconds
LATEST = 2**48  # ms: in 8,900 years
BOOT_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


class MalformedMessageError(ValueError):
    """A frame is not a message that this version can read. `reason` is for counting, the text for people."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Reader(Protocol[R_co]):
    """Reads the payload of one topic's messages."""

    @property
    def topic(self) -> bytes: ...

    @property
    def dropped(self) -> Counter[str]:
        """What of messages that were taken could not be used, by reason."""

    def payload(self, message: pb.Envelope) -> R_co | None:
        """None when there is none in the message."""


def subscription(topic: bytes) -> bytes:
    """What a subscriber of a topic subscribes to, and what each frame of the topic begins with."""
    return topic + b"\0"


def encode(envelope: Message[DeviceSnapshot | TopologySnapshot]) -> bytes:
    """The frame of a message."""
    payload = envelope.payload
    topic = DEVICES if isinstance(payload, DeviceSnapshot) else TOPOLOGY
    message = pb.Envelope(
        schema_version=SCHEMA_VERSION,
        source=text(envelope.source),
        node=text(envelope.node),
        boot_id=envelope.boot_id,
        start_sequence=envelope.start_sequence,
        sequence=envelope.sequence,
        wall_time_ms=round(envelope.wall_time * 1000),
        monotonic_ms=round(envelope.monotonic_time * 1000),
        validity_ms=round(envelope.validity * 1000),
    )
    if isinstance(payload, DeviceSnapshot):
        message.devices.CopyFrom(snapshot_message(payload))
    else:
        message.topology.CopyFrom(topology_message(payload))
    return subscription(topic) + message.SerializeToString()


def decode(frame: bytes, reader: Reader[P], *, largest: int = LARGEST) -> Message[P]:
    """The message of a frame; `reader` counts the values in it that could not be used.

    Raises:
        MalformedMessageError: the frame as a whole cannot be used.
    """
    if len(frame) > largest:
        raise MalformedMessageError("too large", f"{len(frame)} bytes, at most {largest} are taken")
    prefix = subscription(reader.topic)
    if not frame.startswith(prefix):
        raise MalformedMessageError("topic", f"expected topic {reader.topic.decode()}, found {frame[:32]!r}")
    message = pb.Envelope()
    try:
        message.ParseFromString(frame[len(prefix) :])
    except DecodeError as error:
        raise MalformedMessageError("not protobuf", f"not an Envelope: {error}") from None
    _check(message)
    payload = reader.payload(message)
    if payload is None:
        raise MalformedMessageError("payload", f"no snapshot of {reader.topic.decode()} in it")
    return Message(
        source=text(message.source),
        node=text(message.node),
        boot_id=message.boot_id,
        start_sequence=message.start_sequence,
        sequence=message.sequence,
        wall_time=message.wall_time_ms / 1000,
        monotonic_time=message.monotonic_ms / 1000,
        validity=message.validity_ms / 1000,
        payload=payload,
    )


def _check(message: pb.Envelope) -> None:
    """Raise MalformedMessageError unless everything that says whose message it is, and how old, is there."""
    if message.schema_version < SCHEMA_VERSION:
        raise MalformedMessageError("schema", f"schema version {message.schema_version}, expected 1 or later")
    if not message.source or not BOOT_ID.fullmatch(message.boot_id):
        raise MalformedMessageError("sender", f"source {message.source[:32]!r}, boot id {message.boot_id[:64]!r}")
    if not 0 < message.validity_ms <= LONGEST_VALIDITY * 1000:
        raise MalformedMessageError("validity", f"valid for {message.validity_ms} ms, expected 1 ms to 24 h")
    if max(message.wall_time_ms, message.monotonic_ms) > LATEST:
        raise MalformedMessageError("time", f"made at {message.wall_time_ms} ms, {message.monotonic_ms} ms since boot")
    if message.sequence < message.start_sequence:
        raise MalformedMessageError("sequence", f"sequence {message.sequence} before start {message.start_sequence}")
