"""The judge, as a state machine of looks and times."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpu_shared.device import Health
from xpu_shared.health import Evidence, Finding, Judgement, judge

BAD, BETWEEN, CLEAR = Evidence.BAD, Evidence.BETWEEN, Evidence.CLEAR
DWELL, PATIENCE = 30.0, 3.0

Look = tuple[float, Evidence | None]  # seconds since the last look, what it says of "hot"


def look(evidence: Evidence | None, text: str = "", *, looks: int = 1) -> Mapping[str, Finding]:
    return {} if evidence is None else {"hot": Finding(evidence=evidence, text=text, looks=looks)}


def after(
    *looks: Look, last: Judgement | None = None, dwell: float = DWELL, needed: int = 1, start: float = 100.0
) -> list[Judgement]:
    """The judgement after each look."""
    judgements, judgement, now = [], last or Judgement(), start
    for seconds, evidence in looks:
        now += seconds
        judgement = judge(judgement, look(evidence, looks=needed), dwell=dwell, patience=PATIENCE, now=now)
        judgements.append(judgement)
    return judgements


def healths(judgements: list[Judgement]) -> str:
    return "".join("h" if judgement.health is Health.HEALTHY else "U" for judgement in judgements)


def test_a_new_device_is_healthy() -> None:
    assert Judgement().health is Health.HEALTHY
    assert Judgement().reasons == {}


def test_one_bad_look_takes_it_out_with_what_was_seen_first() -> None:
    first = judge(Judgement(), look(BAD, "103.2 > 100"), dwell=DWELL, patience=PATIENCE, now=0)
    second = judge(first, look(BAD, "104 > 100"), dwell=DWELL, patience=PATIENCE, now=1)

    assert first.reasons == second.reasons == {"hot": "103.2 > 100"}


def test_it_comes_back_when_it_was_clear_for_the_dwell_time() -> None:
    assert healths(after((0, BAD), *[(1, CLEAR)] * 32)) == "U" * 31 + "hh"


def test_what_is_neither_bad_nor_clear_changes_nothing_and_starts_the_dwell_anew() -> None:
    assert healths(after((0, BETWEEN), (1, BETWEEN))) == "hh"
    assert healths(after((0, BAD), *[(1, CLEAR)] * 29, (1, BETWEEN), *[(1, CLEAR)] * 31)) == "U" * 61 + "h"


def test_looks_that_say_nothing_change_nothing() -> None:
    assert healths(after((0, BAD), *[(10, None)] * 50)) == "U" * 51
    assert healths(after(*[(10, None)] * 50)) == "h" * 50


def test_a_single_look_that_says_nothing_does_not_interrupt_the_dwell() -> None:
    every_other = [(1.0, CLEAR if number % 2 else None) for number in range(32)]
    assert healths(after((0, BAD), *every_other)).endswith("Uh")


def test_time_that_nobody_looked_is_no_dwell() -> None:
    assert healths(after((0, BAD), (1, CLEAR), (3600, CLEAR), (1, CLEAR))) == "UUUU"


def test_a_measurement_that_is_repeated_is_no_dwell() -> None:
    judgement = judge(Judgement(), look(BAD), dwell=DWELL, patience=PATIENCE, now=100)
    for seconds in range(1, 100):
        repeated = {"hot": Finding(evidence=CLEAR, age=seconds)}
        judgement = judge(judgement, repeated, dwell=DWELL, patience=PATIENCE, now=101.0 + seconds)
        assert judgement.health is Health.UNHEALTHY


def test_a_measurement_from_before_the_trouble_is_no_dwell() -> None:
    judgement = judge(Judgement(), look(BAD), dwell=DWELL, patience=PATIENCE, now=100)
    old = {"hot": Finding(evidence=CLEAR, age=40.0)}

    assert judge(judgement, old, dwell=DWELL, patience=PATIENCE, now=101).health is Health.UNHEALTHY


def test_a_condition_may_need_several_bad_looks_in_a_row() -> None:
    assert healths(after((0, BAD), (1, CLEAR), (1, BAD), (1, BAD), needed=2)) == "hhhU"
    assert healths(after((0, BAD), (1, None), (1, BAD), needed=2)) == "hhU"


def test_conditions_are_independent_and_named_in_order() -> None:
    both = {"wet": Finding(evidence=BAD, text="w"), "hot": Finding(evidence=BAD, text="h")}
    judgement = judge(Judgement(), both, dwell=0, patience=1, now=0)
    assert list(judgement.reasons.items()) == [("hot", "h"), ("wet", "w")]

    judgement = judge(judgement, look(CLEAR), dwell=0, patience=1, now=1)
    assert judgement.reasons == {"wet": "w"}


def test_nothing_is_remembered_of_a_device_that_is_well() -> None:
    judgements = after((0, BAD), (1, CLEAR), (1, CLEAR), dwell=1)

    assert [len(judgement.conditions) for judgement in judgements] == [1, 1, 0]
    assert after((0, BAD), (1, CLEAR), needed=2)[-1] == Judgement()


looks = st.lists(
    st.tuples(st.floats(min_value=0, max_value=100), st.sampled_from([BAD, BETWEEN, CLEAR, None])), max_size=60
)


@given(looks=looks, dwell=st.floats(min_value=0, max_value=60), needed=st.integers(min_value=1, max_value=3))
@settings(deadline=None)
def test_it_never_comes_back_before_the_dwell_time(looks: list[Look], dwell: float, needed: int) -> None:
    last_trouble, now = -1.0, 0.0
    previous = Health.HEALTHY
    for (seconds, evidence), judgement in zip(looks, after(*looks, dwell=dwell, needed=needed), strict=True):
        now += seconds
        if previous is Health.UNHEALTHY and judgement.health is Health.HEALTHY:
            assert evidence is CLEAR
            assert now - last_trouble >= dwell - 1e-6
        if evidence in (BAD, BETWEEN):
            last_trouble = now
        previous = judgement.health


@given(looks=looks, dwell=st.integers(min_value=0, max_value=60))
@settings(deadline=None)
def test_it_can_always_come_back(looks: list[Look], dwell: int) -> None:
    *_, judgement = after((0, None), *looks)

    recovery: list[Look] = [(1.0, CLEAR)] * (dwell + 5)
    assert after(*recovery, last=judgement, dwell=dwell, start=1e4)[-1] == Judgement()


@given(looks=looks, silence=st.lists(st.floats(min_value=0, max_value=1e6), max_size=10))
@settings(deadline=None)
def test_the_loss_of_the_source_changes_nothing(looks: list[Look], silence: list[float]) -> None:
    *_, judgement = after((0, None), *looks)

    assert all(
        later == judgement for later in after(*[(seconds, None) for seconds in silence], last=judgement, start=1e4)
    )


@pytest.mark.parametrize("needed", [1, 2])
@given(looks=looks)
@settings(deadline=None)
def test_only_bad_looks_take_it_out(needed: int, looks: list[Look]) -> None:
    previous = Health.HEALTHY
    for (_, evidence), judgement in zip(looks, after(*looks, needed=needed), strict=True):
        if previous is Health.HEALTHY and judgement.health is Health.UNHEALTHY:
            assert evidence is BAD
        previous = judgement.health
