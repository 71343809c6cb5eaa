"""What counters become, with the examples of the specification and any counters at all."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.telemetry.readings import MemoryModule
from xpu_sidecars.level_zero.formulas import Sample, celsius, difference, hertz, per_second, ratio, share, watts

COUNTERS = st.integers(0, 2**64 - 1)
MOST = 2**64 - 1


def test_power_of_the_worked_example() -> None:
    assert watts(Sample(155_000_000, 2_500_000), Sample(5_000_000, 1_000_000)) == 100.0


def test_engine_utilisation_of_the_worked_example() -> None:
    assert share(Sample(1_450, 11_000), Sample(1_000, 10_000)) == pytest.approx(0.45)


def test_memory_use_of_the_worked_example() -> None:
    module = MemoryModule(size_bytes=17_079_205_888, free_bytes=3_221_225_472)
    assert module.used_bytes == 13_857_980_416


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (5, 3, 2),
        (3, 3, 0),
        (4, MOST - 5, 10),  # it wrapped
        (0, MOST, 1),
        (3, 5, None),  # it went backwards
        (0, 2**63 - 1, None),
    ],
)
def test_a_counter_grows_wraps_or_was_reset(new: int, old: int, expected: int | None) -> None:
    assert difference(new, old) == expected


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (Sample(10, 10), None, None),  # nothing to compare with
        (Sample(10, 10), Sample(5, 10), None),  # no time has passed
        (Sample(10, 9), Sample(5, 10), None),  # the clock went backwards
        (Sample(4, 20), Sample(5, 10), None),  # the counter did
        (Sample(15, 20), Sample(5, 10), 1.0),
        (Sample(9, 4), Sample(MOST - 10, MOST - 15), 1.0),  # both wrapped
    ],
)
def test_a_rate_needs_two_good_samples(new: Sample, old: Sample | None, expected: float | None) -> None:
    assert ratio(new, old) == expected


def test_power_that_no_card_draws_is_none() -> None:
    assert watts(Sample(1_999_000_000, 1_000_000), Sample(0, 0)) == 1999.0
    assert watts(Sample(2_000_000_000, 1_000_000), Sample(0, 0)) is None


def test_an_engine_is_never_busier_than_always() -> None:
    assert share(Sample(1_100, 1_000), Sample(0, 0)) == 1.0


def test_bandwidth_is_per_second_of_a_clock_in_microseconds() -> None:
    assert per_second(Sample(3_000_000, 500_000), Sample(0, 0)) == 6_000_000


@given(new_count=COUNTERS, new_time=COUNTERS, old_count=COUNTERS, old_time=COUNTERS)
def test_any_counters_give_a_plausible_value_or_none(
    new_count: int, new_time: int, old_count: int, old_time: int
) -> None:
    new, old = Sample(new_count, new_time), Sample(old_count, old_time)

    found_watts, found_share = watts(new, old), share(new, old)

    assert found_watts is None or 0 <= found_watts < 2000
    assert found_share is None or 0 <= found_share <= 1
    assert (per_second(new, old) or 0) >= 0


@given(start=COUNTERS, grown=st.integers(0, 2**63 - 1), began=COUNTERS, passed=st.integers(1, 2**63 - 1))
def test_a_rate_does_not_depend_on_where_counters_are(start: int, grown: int, began: int, passed: int) -> None:
    old = Sample(start, began)
    new = Sample((start + grown) % 2**64, (began + passed) % 2**64)
    assert ratio(new, old) == grown / passed


@given(st.floats())
def test_a_temperature_is_one_that_a_chip_can_have(value: float) -> None:
    found = celsius(value)
    assert found is None or (found == value and -60 <= found <= 250)
    assert (found is None) == (not (math.isfinite(value) and -60 <= value <= 250))


@pytest.mark.parametrize(("megahertz", "expected"), [(1300.0, 1_300_000_000), (0.0, 0), (-1.0, None), (math.nan, None)])
def test_a_negative_frequency_is_unknown(megahertz: float, expected: int | None) -> None:
    assert hertz(megahertz) == expected
