"""Whether a message is news: decided from what it says of itself, what came before it, and this machine's clocks.

A publisher's messages are numbered through, and a later start begins with a higher number, so that within one boot
of the machine the highest number is the newest message, whichever process sent it.
"""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from xpu_shared.telemetry.readings import DeviceSnapshot, Message

P = TypeVar("P")

SAME_CLOCK = 1.0  # seconds that a message of this boot may seem to come from the future


class OutdatedMessageError(ValueError):
    """A message that is no news. `reason` is for counting, the text for people."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class News(Generic[P]):
    """A message with its place on this machine's clock."""

    envelope: Message[P]
    made_at: float  # monotonic seconds of this machine; when it came, for a message of another machine

    @property
    def expires_at(self) -> float:
        """When its content is stale, in monotonic seconds."""
        return self.made_at + self.envelope.validity


Received = News[DeviceSnapshot]


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """This machine's clocks, in seconds."""

    boot_id: str
    monotonic: float
    wall: float


def received(envelope: Message[P], last: News[P] | None, *, node: str, max_skew: float, now: Now) -> News[P]:
    """The message as news.

    Args:
        last: the newest message so far.
        node: whose messages are wanted; empty: anybody's.
        max_skew: seconds that another machine's clock may differ.
    Raises:
        OutdatedMessageError: it is not for us, too old, from the future, or not newer than the last one.
    """
    if node and envelope.node and node != envelope.node:
        raise OutdatedMessageError("other node", f"it is of node {envelope.node[:64]!r}, not {node!r}")
    news = News(envelope=envelope, made_at=_made_at(envelope, max_skew, now))
    if now.monotonic > news.expires_at:
        raise OutdatedMessageError(
            "stale", f"{now.monotonic - news.made_at:.1f} s old, valid for {envelope.validity} s"
        )
    if last is not None and now.monotonic <= last.expires_at:
        _check_newer(envelope, last.envelope)
    return news


def _made_at(envelope: Message[Any], max_skew: float, now: Now) -> float:
    if envelope.boot_id == now.boot_id:
        if envelope.monotonic_time > now.monotonic + SAME_CLOCK:
            ahead = envelope.monotonic_time - now.monotonic
            raise OutdatedMessageError("clock skew", f"{ahead:.1f} s from the future")
        return envelope.monotonic_time
    skew = envelope.wall_time - now.wall
    if abs(skew) > max_skew:
        raise OutdatedMessageError("clock skew", f"its clock differs by {skew:.0f} s, at most {max_skew:g} are taken")
    return now.monotonic


def _check_newer(envelope: Message[Any], last: Message[Any]) -> None:
    """Raise OutdatedMessageError unless it comes after the last one. Boots have no order: another boot is newer."""
    if envelope.boot_id != last.boot_id:
        return
    if envelope.start_sequence == last.start_sequence and envelope.sequence == last.sequence:
        raise OutdatedMessageError("duplicate", f"sequence {envelope.sequence} once more")
    if (envelope.start_sequence, envelope.sequence) < (last.start_sequence, last.sequence):
        raise OutdatedMessageError("older", f"sequence {envelope.sequence} after {last.sequence}")


def is_restart(envelope: Message[Any], last: Message[Any]) -> bool:
    """Whether another process sent it than the last one."""
    return (envelope.boot_id, envelope.start_sequence) != (last.boot_id, last.start_sequence)
