"""Figures as they are shown, kept and compared."""

import json

import pytest

from bench.figures import Durations, Row, as_json, comparison, milliseconds, page, table

HUNDRED = milliseconds([number / 1000 for number in range(1, 101)])
ROWS: list[Row] = [
    ("start", HUNDRED, "< 500 ms"),
    ("memory", "resident 37.5, anonymous 16.0 MiB", "resident ≤ 42 MiB"),
    ("lists", "0", "0"),
]


def test_percentiles_are_in_milliseconds() -> None:
    assert HUNDRED.summary == pytest.approx({"p50": 50.5, "p90": 90, "p99": 99, "max": 100, "n": 100})
    assert str(HUNDRED) == "p50 50.50  p90 90.00  p99 99.00  max 100.00 ms  n=100"


def test_a_plot_shows_where_most_were_and_every_one_that_was_apart() -> None:
    plot = Durations([0.001] * 50 + [0.0021] * 25 + [0.024]).plot

    assert len(plot) == 24
    assert plot[0] == "█"
    assert plot[1] == "▄"
    assert plot[-1] == "▁"
    assert set(plot[2:-1]) == {" "}


def test_of_equal_times_there_is_one_bar() -> None:
    assert Durations([0.5, 0.5]).plot.strip() == "█"


def test_the_table_has_a_distribution_for_durations_only() -> None:
    head, _, start, memory, _ = table(ROWS).splitlines()

    assert head.split() == ["what", "measured", "target", "distribution"]
    assert start.endswith("|")
    assert memory.endswith("MiB")


def test_a_result_is_compared_with_an_earlier_one() -> None:
    now = json.loads(as_json(ROWS))
    before = json.loads(
        as_json(
            [
                ("start", milliseconds([number / 500 for number in range(1, 101)]), ""),
                ("memory", "resident 75.0, anonymous 8.0 MiB", ""),
                ("lists", "2", ""),
                ("gone", "1", ""),
            ]
        )
    )

    assert comparison(now, before).splitlines()[1:] == [
        "  start: p50 0.50  p99 0.50  max 0.50",
        "  memory: 0.50  2.00",
        "  lists: 0.00",
    ]
    assert "on another machine" in comparison(now, {**before, "machine": {"cores": 64}})


def test_the_page_has_every_figure_beside_its_target() -> None:
    lines = page(json.loads(as_json(ROWS))).splitlines()

    assert "| memory | resident 37.5, anonymous 16.0 MiB | resident ≤ 42 MiB |  |" in lines
    assert any(line.startswith("| start | p50 50.50 ") and line.endswith("` |") for line in lines)
