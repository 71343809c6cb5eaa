"""What counts as a miss."""

import json

import pytest

from bench.figures import Durations, as_json, milliseconds, page
from bench.targets import misses

SLOW = milliseconds([0.010] * 98 + [0.200, 0.900])  # p50 10, p90 10, p99 200, max 900


@pytest.mark.parametrize(
    ("measured", "target", "missed"),
    [
        (SLOW, "p50 < 50, p99 < 100 ms", ("p99 200.00 ms",)),
        (SLOW, "p50 < 5, p99 < 100 ms", ("p50 10.00 ms", "p99 200.00 ms")),
        (SLOW, "< 150 ms", ("p99 200.00 ms",)),
        (SLOW, "max < 1,050 ms: a sampling period + 50 ms", ()),
        (SLOW, "max < 2 s", ()),
        (SLOW, "-", ()),
        ("resident 43.1, anonymous 16.0 MiB", "resident ≤ 42 MiB", ("resident 43.1, anonymous 16.0 MiB",)),
        ("resident 41.9, anonymous 46.0 MiB", "resident ≤ 42 MiB", ()),
        ("6.20 + 4.00 ms per second", "< 10 ms per second", ("6.20 + 4.00 ms per second",)),
        ("6.20 + 3.00 ms per second", "< 10 ms per second", ()),
        ("4000001 bytes", "≤ 4000000 bytes", ("4000001 bytes",)),
        ("70.5 KiB", "≤ 64 KiB", ("70.5 KiB",)),
        ("1.201 s", "< 1 s", ("1.201 s",)),
        ("49 of 50", "all", ("49 of 50",)),
        ("50 of 50", "all", ()),
        ("1", "0", ("1",)),
        ("0", "0", ()),
        ("failed: no list", "< 500 ms", ("failed: no list",)),
        ("0 wrong of 300 pages, oldest 3.9 s", "0 wrong, oldest ≤ 5 s", ()),
        ("2 wrong of 300 pages, oldest 3.9 s", "0 wrong, oldest ≤ 5 s", ("2 wrong of 300 pages, oldest 3.9 s",)),
        ("descriptors 20 → 40, threads 9 → 9, anonymous 16.0 → 16.4 MiB", "no growth", ("descriptors 20 → 40",)),
        (
            "bandwidth at least 98.0%, connected as the optimum 6 of 6",
            "≥ 99 %, all",
            ("bandwidth at least 98.0%, connected as the optimum 6 of 6",),
        ),
        ("bandwidth at least 99.0%, connected as the optimum 6 of 6", "≥ 99 %, all", ()),
    ],
)
def test_a_miss_is_what_is_beyond_its_limit(measured: str | Durations, target: str, missed: tuple[str, ...]) -> None:
    (figure,) = json.loads(as_json([("x", measured, target)]))["figures"]

    assert misses(figure) == missed


def test_the_page_lists_every_miss_with_what_is_known_of_it() -> None:
    result = json.loads(as_json([("good", "0", "0"), ("bad", "1", "0")]))

    assert "| bad | 1 | 0 | not explained yet |" in page(result).splitlines()
    assert "Every target is met." in page({**result, "figures": result["figures"][:1]})
