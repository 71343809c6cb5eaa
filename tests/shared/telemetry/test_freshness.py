"""What is news and what is not, as a function of messages and clocks."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_examples import BOOT, envelope
from xpu_shared.telemetry.clocks import boot_id, start_sequence
from xpu_shared.telemetry.freshness import Now, OutdatedMessageError, Received, is_restart, received
from xpu_shared.telemetry.readings import Envelope

HERE = Now(boot_id=BOOT, monotonic=13.0, wall=1_790_000_000.0)  # half a second after the example was made
ELSEWHERE = replace(HERE, boot_id="another-boot", monotonic=99.0)


def news(message: Envelope, last: Received | None = None, *, now: Now = HERE, node: str = "") -> Received:
    return received(message, last, node=node, max_skew=300.0, now=now)


def refusal(message: Envelope, last: Received | None = None, *, now: Now = HERE, node: str = "") -> str:
    with pytest.raises(OutdatedMessageError) as raised:
        news(message, last, now=now, node=node)
    return raised.value.reason


def test_a_message_of_this_boot_keeps_its_own_time() -> None:
    first = news(envelope())

    assert (first.made_at, first.expires_at) == (12.5, 15.5)


def test_a_message_of_another_machine_counts_from_when_it_came() -> None:
    assert news(envelope(), now=ELSEWHERE).made_at == 99.0


def test_the_next_sequence_is_news_and_the_same_or_an_older_one_is_not() -> None:
    last = news(envelope(sequence=7))

    assert news(envelope(sequence=8), last).envelope.sequence == 8
    assert refusal(envelope(sequence=7), last) == "duplicate"
    assert refusal(envelope(sequence=6), last) == "older"


def test_a_publisher_that_started_later_is_news_and_one_that_started_earlier_is_not() -> None:
    last = news(envelope(sequence=70, start_sequence=60))

    later = news(envelope(sequence=100, start_sequence=100), last)
    assert is_restart(later.envelope, last.envelope)
    assert refusal(envelope(sequence=71, start_sequence=50), last) == "older"


def test_an_older_sequence_is_news_once_the_last_message_is_stale() -> None:
    last = news(envelope(sequence=7))
    late = replace(HERE, monotonic=20.0)

    assert news(replace(envelope(sequence=6), monotonic_time=19.0), last, now=late).envelope.sequence == 6


def test_another_boot_is_a_restart_whatever_its_numbers() -> None:
    last = news(envelope(sequence=7))
    rebooted = replace(envelope(sequence=1, start_sequence=1), boot_id="another-boot")

    assert is_restart(news(rebooted, last).envelope, last.envelope)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"monotonic_time": 9.9}, "stale"),
        ({"monotonic_time": 14.1}, "clock skew"),
        ({"node": "node-2"}, "other node"),
        ({"boot_id": "x", "wall_time": HERE.wall - 301}, "clock skew"),
        ({"boot_id": "x", "wall_time": HERE.wall + 301}, "clock skew"),
    ],
)
def test_messages_that_cannot_be_of_now_and_here(change: dict[str, object], reason: str) -> None:
    assert refusal(replace(envelope(), **change), node="node-1") == reason  # type: ignore[arg-type]


def test_a_message_that_names_no_node_is_anybody_s() -> None:
    assert news(replace(envelope(), node=""), node="node-1")


def test_a_publisher_that_starts_later_begins_with_a_higher_number() -> None:
    first = start_sequence()

    assert start_sequence() >= first > 0
    assert len(boot_id()) == 36


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), st.booleans()), max_size=40))
def test_in_any_order_the_newest_message_is_kept_and_never_replaced_by_an_older_one(
    messages: list[tuple[int, int, bool]],
) -> None:
    """Of several publishers of one boot, whose messages come mixed, repeated and late."""
    last: Received | None = None
    highest = (-1, -1)
    for start, number, late in messages:
        message = envelope(start_sequence=100 * start, sequence=100 * start + number)
        message = replace(message, monotonic_time=1.0) if late else message
        with suppress(OutdatedMessageError):
            last = news(message, last)
        if not late:
            highest = max(highest, (message.start_sequence, message.sequence))
        kept = (last.envelope.start_sequence, last.envelope.sequence) if last else (-1, -1)
        assert kept == highest
