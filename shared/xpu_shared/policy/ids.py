"""Ids of shared devices, and the units of hardware they stand for.

An id is `<unit>-<alias>`: several ids stand for one unit of hardware, as `card0-0` and `card0-1` do. An id without `-`
is a unit of its own. Numbers inside ids count as numbers, so `card9` comes before `card10`.
"""

import re
from collections.abc import Iterable
from itertools import chain

NUMBER = re.compile(r"([0-9]+)")


def split(available: Iterable[str], must_include: Iterable[str]) -> tuple[list[str], dict[str, list[str]]]:
    """The ids to begin with, and the other ids of each unit; everything in order, nothing twice."""
    ids = set(available)
    first = ids.intersection(must_include)
    return [id_ for ids in _by_unit(first).values() for id_ in ids], _by_unit(ids - first)


def _by_unit(ids: Iterable[str]) -> dict[str, list[str]]:
    units: dict[str, list[str]] = {}
    for id_ in ids:
        unit = id_.partition("-")[0]
        units.setdefault(unit, []).append(id_[len(unit) :])
    # Units share their aliases, so each text is ordered once: 45 instead of 600 ms for 64 units of 1024 ids.
    aliases = set(chain.from_iterable(units.values()))
    place = {alias: number for number, alias in enumerate(sorted(aliases, key=natural))}
    return {
        unit: [unit + alias for alias in sorted(units[unit], key=place.__getitem__)]
        for unit in sorted(units, key=natural)
    }


def unit_of(id_: str) -> str:
    return id_.partition("-")[0]


def natural(text: str) -> tuple[list[tuple[int, str]], str]:
    """A sort key in which numbers count as such; `01` and `1` differ, so that the order is total."""
    parts = NUMBER.split(text)
    parts[1::2] = (number.lstrip("0") for number in parts[1::2])
    return [(len(part) if place % 2 else 0, part) for place, part in enumerate(parts)], text
