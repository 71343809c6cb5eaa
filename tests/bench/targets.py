"""Whether a figure meets its target, and what is known of those that do not.

Targets are written for people, in few forms: limits with `<` or `≤` of a percentile, of resident memory, or of the one
number that was measured; `≥` of a share; `0`; `all`; `no growth`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

LIMIT = re.compile(r"(?:(p50|p90|p99|max|resident|oldest) )?[<≤] ([\d.,]+)(?: (ms|s|MiB|KiB|bytes)\b)?")
SHARE = re.compile(r"≥ ([\d.]+) %")
NUMBER = r"([\d.]+)"
COUNTS = re.compile(r"(\d+) of (\d+)")
GROWTH = re.compile(r"(\w+) ([\d.]+) → ([\d.]+)")
SPARE = {"descriptors": 2, "threads": 2, "anonymous": 1.0}  # MiB of the last
MILLISECONDS = {"ms": 1.0, "s": 1000.0}

EXPLAINED: Mapping[str, str] = {}
"""By the beginning of what was measured: why it misses its target, found by measuring."""


def misses(figure: Mapping[str, Any]) -> tuple[str, ...]:
    """In what a figure misses its target, in words; a figure as it is in JSON."""
    find = _of_durations if "milliseconds" in figure else _of_text
    return tuple(find(figure))


def explanation(what: str) -> str:
    return next((text for begins, text in EXPLAINED.items() if what.startswith(begins)), "not explained yet")


def _limits(target: str) -> Iterator[tuple[str, float, str]]:
    """Name, limit and unit; a list of limits has its unit at the end."""
    found = LIMIT.findall(target)
    for name, limit, unit in found:
        yield name, float(limit.rstrip(".,").replace(",", "")), unit or found[-1][2]


def _of_durations(figure: Mapping[str, Any]) -> Iterator[str]:
    """Of a limit without a name the 99th percentile counts."""
    for name, limit, unit in _limits(figure["target"]):
        measured = figure["milliseconds"][name or "p99"]
        if measured > limit * MILLISECONDS[unit or "ms"]:
            yield f"{name or 'p99'} {measured:.2f} ms"


def _of_text(figure: Mapping[str, Any]) -> Iterator[str]:
    text, target = figure["text"], figure["target"]
    for name, limit, _ in _limits(target):
        found = re.findall(rf"{name} {NUMBER}" if name else NUMBER, text)
        if "per second" in target:
            found = [str(sum(map(float, found)))]
        if not found or float(found[0]) > limit:
            yield text
    for least in SHARE.findall(target):
        if float(re.findall(rf"{NUMBER}%", text)[0]) < float(least):
            yield text
    if "all" in target.split() and any(some != every for some, every in COUNTS.findall(text)):
        yield text
    if (target == "0" and text != "0") or (target.startswith("0 wrong") and not text.startswith("0 wrong")):
        yield text
    if target == "no growth":
        for name, before, after in GROWTH.findall(text):
            if float(after) - float(before) > SPARE[name]:
                yield f"{name} {before} → {after}"
