"""The fuzzer is sound: it finds nothing now, reaches what a message can hold, and would find something."""

from random import Random

import pytest

from fuzz.frames import SEEDS, main, take
from fuzz.mutations import mutated
from xpu_shared.telemetry import decoding
from xpu_shared.telemetry.decoding import SnapshotReader
from xpu_shared.telemetry.envelope import MalformedMessageError
from xpu_shared.telemetry.freshness import OutdatedMessageError


def test_it_finds_nothing() -> None:
    assert main(2000, 1) == 0


def test_it_reaches_every_way_to_drop_a_message_or_a_value() -> None:
    random, reader, reasons = Random(1), SnapshotReader(), set()
    for _ in range(20_000):
        try:
            take(mutated(random, SEEDS), reader, None)
        except (MalformedMessageError, OutdatedMessageError) as error:
            reasons.add(error.reason)

    malformed = {"topic", "not protobuf", "schema", "payload", "sender", "validity", "sequence", "time"}
    assert reasons >= malformed | {"stale", "clock skew"}
    dropped = {"device twice", "device without address", "implausible value", "port that cannot be", "too many"}
    assert set(reader.dropped) == dropped


def test_it_would_find_a_value_that_is_let_through(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(decoding, "HOTTEST", 1e9)

    assert main(20_000, 1) == 1
    assert "of seed 1: AssertionError" in capsys.readouterr().out
