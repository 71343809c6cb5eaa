"""Fabrics as nodes have them, and two long ways to the best set: looking at every one, and branch and bound."""

import random
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from xpu_shared.policy.fabric import Fabric, Worth

Links = dict[tuple[int, int], int]


def mesh(units: Iterable[int], width: int = 8) -> Links:
    return dict.fromkeys(combinations(units, 2), width)


def ring(count: int) -> Links:
    return {(min(unit, (unit + 1) % count), max(unit, (unit + 1) % count)): 4 for unit in range(count)}


def cube() -> Links:
    return {(unit, unit | bit): 4 for unit in range(8) for bit in (1, 2, 4) if not unit & bit}


def islands(count: int, size: int, rng: random.Random | None = None) -> Links:
    """Full meshes beside each other; with `rng` of uneven lanes."""
    links: Links = {}
    for first in range(0, count * size, size):
        links |= mesh(range(first, first + size))
    return {pair: rng.choice([2, 4, 8, 16]) if rng else width for pair, width in links.items()}


def scattered(count: int, density: float, rng: random.Random) -> Links:
    return {pair: rng.choice([2, 4, 8, 16]) for pair in combinations(range(count), 2) if rng.random() < density}


def without(links: Links, *down: tuple[int, int]) -> Links:
    return {pair: width for pair, width in links.items() if pair not in down}


def fabric(count: int, links: Links, *, numa: int = 2, below_a_port: int = 2) -> Fabric:
    """The first half of the units near the first NUMA node and so on; root ports with so many units each."""
    return Fabric(
        bandwidth=links,
        numa_nodes=[(unit * numa // count,) for unit in range(count)],
        root_ports=[f"0000:{unit // below_a_port:02x}:01.0" for unit in range(count)],
    )


NODES: dict[str, Fabric] = {
    "full mesh of 8": fabric(8, mesh(range(8))),
    "two islands of 4": fabric(8, islands(2, 4)),
    "ring of 8": fabric(8, ring(8)),
    "cube of 8": fabric(8, cube()),
    "two islands with links down": fabric(8, without(islands(2, 4), (0, 1), (0, 2), (5, 7))),
    "16 in four islands": fabric(16, islands(4, 4), numa=4),
    "full mesh of 16": fabric(16, mesh(range(16))),
    "16 at random": fabric(16, scattered(16, 0.4, random.Random(1))),
    "64 in eight uneven islands": fabric(64, islands(8, 8, random.Random(2)), numa=8),
    "64 in four uneven islands": fabric(64, islands(4, 16, random.Random(4))),
    "64 in a ring": fabric(64, ring(64), numa=8),
    "64 at random": fabric(64, scattered(64, 0.2, random.Random(3))),
    "64 without links": fabric(64, {}, numa=8),
}


def by_looking_at_all(
    fabric: Fabric, free: Mapping[int, int], required: Sequence[int], size: int
) -> tuple[tuple[int, ...], Worth]:
    """The best set and its worth."""
    others = sorted(free.keys() - set(required))
    sets = (tuple(sorted((*required, *more))) for more in combinations(others, size - len(required)))
    return max(((found, fabric.worth(found, free)) for found in sets), key=lambda both: both[1])


def most_bandwidth(fabric: Fabric, free: Iterable[int], size: int, *, at_least: int) -> int:
    """The greatest bandwidth of a set that links of its own connect; `at_least` if there is none with more.

    Branch and bound: where twice what is there, plus what each of the best others would add twice for links to the
    members and once for its widest links among the others, is not more than twice the best, nothing better can follow.
    """
    rows = fabric.bandwidth
    units = sorted(free, key=lambda unit: -sum(rows[unit]))
    table = [[rows[unit][other] for other in units] for unit in units]
    reach = [[sum(sorted(row, reverse=True)[:count]) for row in table] for count in range(size)]
    best = at_least

    def descend(chosen: int, bandwidth: int, first: int, gains: list[int], left: int) -> None:
        nonlocal best
        for place in range(len(gains) - left + 1):
            links = reach[left - 1][first + place :]
            twice = sorted((2 * gain + more for gain, more in zip(gains[place:], links, strict=True)), reverse=True)
            if 2 * bandwidth + sum(twice[:left]) <= 2 * best:
                return
            at, total = first + place, bandwidth + gains[place]
            units_chosen = chosen | 1 << units[at]
            if left > 1:
                row = table[at][at + 1 :]
                more = [gain + width for gain, width in zip(gains[place + 1 :], row, strict=True)]
                descend(units_chosen, total, at + 1, more, left - 1)
            elif total > best and fabric.largest_group(units_chosen) == size:
                best = total

    descend(0, 0, 0, [0] * len(units), size)
    return best
