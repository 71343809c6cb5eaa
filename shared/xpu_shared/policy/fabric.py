"""How the units of hardware on a node are joined and where they are, and how good a set of them is for one container.

Units are numbers from 0 on, in the order that decides between equals. Everything that does not depend on which of them
are free is worked out once: a fabric serves many questions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd
from typing import NamedTuple

FREE_BITS = 24  # more than there can be free aliases of all units together


class Worth(NamedTuple):
    """Greater is better, compared from left to right."""

    connected: int  # units in the largest group whose members are joined by direct links of the set
    bandwidth: int  # sum over the direct links of the set, in a measure of the fabric's own
    together: int  # minus the number of NUMA nodes
    closeness: int  # pairs below one root port, then few free aliases, then the order of units, in one number


class Fabric:
    """What joins the units, and what they are near to.

    Args:
        bandwidth: that of the direct links between two units, by pair (lower, higher); absent and 0: no direct link.
        numa_nodes: of each unit.
        root_ports: of each unit, the port below which it is; None: below none, or not known.
    """

    def __init__(
        self,
        *,
        bandwidth: Mapping[tuple[int, int], int],
        numa_nodes: Sequence[Sequence[int]],
        root_ports: Sequence[str | None],
    ) -> None:
        self.size = len(numa_nodes)
        unit_of_width = gcd(*bandwidth.values()) or 1  # small numbers are added fast
        self.numa_nodes = [bits(nodes) for nodes in numa_nodes]
        self.bandwidth = [[0] * self.size for _ in range(self.size)]
        for (unit, other), width in bandwidth.items():
            self.bandwidth[unit][other] = self.bandwidth[other][unit] = width // unit_of_width
        pair = 1 << self.size + FREE_BITS
        self.pairs = [[pair * (port is not None and port == other) for other in root_ports] for port in root_ports]
        self._root_ports = root_ports

    @cached_property
    def neighbours(self) -> list[int]:
        """The units that a direct link leads to, as bits."""
        return [bits(other for other, width in enumerate(row) if width) for row in self.bandwidth]

    @cached_property
    def attraction(self) -> list[list[int]]:
        """How much two units belong together: bandwidth, then a common NUMA node, then a common root port.

        Sums over all units keep the three apart, and leave as many bits below them for ranks.
        """
        step = self.size.bit_length()
        return [
            [
                width << 3 * step | bool(mine & theirs) << 2 * step | bool(pair) << step
                for width, theirs, pair in zip(row, self.numa_nodes, pairs, strict=True)
            ]
            for mine, row, pairs in zip(self.numa_nodes, self.bandwidth, self.pairs, strict=True)
        ]

    @cached_property
    def twin_classes(self) -> list[int]:
        """Units of one class can be exchanged in any set without anybody noticing, but for their aliases and order."""
        classes: list[int] = []
        first: dict[tuple[object, ...], list[int]] = {}
        for unit, row in enumerate(self.bandwidth):
            alike = first.setdefault((self.numa_nodes[unit], self._root_ports[unit], *sorted(row)), [])
            twin = next((other for other in alike if self._are_twins(unit, other)), unit)
            if twin == unit:
                alike.append(unit)
            classes.append(twin)
        return classes

    def _are_twins(self, unit: int, other: int) -> bool:
        mine, theirs = list(self.bandwidth[unit]), self.bandwidth[other]
        mine[unit], mine[other] = mine[other], mine[unit]
        return mine == theirs

    def alone(self, unit: int, free: int) -> int:
        """What a unit with so many free aliases adds to the closeness by itself."""
        return (1 << self.size - 1 - unit) - (free << self.size)

    def worth(self, members: Sequence[int], free: Mapping[int, int]) -> Worth:
        nodes = closeness = bandwidth = 0
        for place, unit in enumerate(members):
            nodes |= self.numa_nodes[unit]
            closeness += self.alone(unit, free[unit])
            widths, pairs = self.bandwidth[unit], self.pairs[unit]
            for other in members[:place]:
                bandwidth += widths[other]
                closeness += pairs[other]
        return Worth(self.largest_group(bits(members)), bandwidth, self.together(nodes), closeness)

    @staticmethod
    def together(nodes: int) -> int:
        """The fewer NUMA nodes, given as bits, the more. Where nothing is known there is at least one."""
        return -max(1, nodes.bit_count())

    def groups(self, units: int) -> Iterator[int]:
        """The groups of units that direct links among them join, as bits like `units`."""
        while units:
            group = front = units & -units
            while front:
                unit = front.bit_length() - 1
                new = self.neighbours[unit] & units & ~group
                group |= new
                front = front & ~(1 << unit) | new
            yield group
            units &= ~group

    def largest_group(self, units: int) -> int:
        return max((group.bit_count() for group in self.groups(units)), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which `size` of the free units of a fabric are best, the required ones among them."""

    fabric: Fabric
    free: Mapping[int, int]  # with the number of their free aliases
    required: Sequence[int]  # some of the free ones, fewer than `size`
    size: int

    def twins(self) -> list[int | None]:
        """For each unit the free one before it that nothing but the order tells from it."""
        last: dict[tuple[int, int], int] = {}
        found: list[int | None] = [None] * self.fabric.size
        for unit in sorted(self.free.keys() - set(self.required)):
            kind = (self.fabric.twin_classes[unit], self.free[unit])
            found[unit] = last.get(kind)
            last[kind] = unit
        return found


def bits(numbers: Sequence[int] | Iterator[int]) -> int:
    """A set of small numbers as one number."""
    result = 0
    for number in numbers:
        result |= 1 << number
    return result


def members(units: int) -> list[int]:
    """The numbers in `bits`, ascending."""
    found = []
    while units:
        lowest = units & -units
        found.append(lowest.bit_length() - 1)
        units &= ~lowest
    return found
