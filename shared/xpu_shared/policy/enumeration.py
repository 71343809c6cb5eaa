"""Looking at sets of units one by one, as far as they can be better than the best one that is known."""

from collections.abc import Sequence
from operator import add, itemgetter
from typing import NamedTuple

from xpu_shared.policy.fabric import Question, Worth, bits, members

MOST_EFFORT = 9_000  # units looked at: some milliseconds


class _Begun(NamedTuple):
    """A set that more units will join."""

    chosen: int  # as bits
    bandwidth: int
    nodes: int  # as bits
    closeness: int
    gains: list[int]  # of bandwidth, by each unit of the place that may follow
    nearness: list[int]  # and of closeness, by pairs


class _Place(NamedTuple):
    """Units from which sets are chosen, those with the widest links first. Rows and columns are in this order."""

    units: list[int]
    bandwidth: list[tuple[int, ...]]
    pairs: list[tuple[int, ...]]
    reach: list[list[int]]  # [n][place]: the bandwidth of the n widest links of a unit


class Enumeration:
    """`chosen` is the best set so far, `best` its worth."""

    def __init__(self, question: Question, chosen: tuple[int, ...]) -> None:
        self.chosen = chosen
        self._fabric = fabric = question.fabric
        self.best = fabric.worth(chosen, question.free)
        self._required = question.required
        self._size = question.size
        self._twins = question.twins()
        self._alone = [fabric.alone(unit, question.free.get(unit, 0)) for unit in range(fabric.size)]
        self._most_connected = question.size
        self._effort = 0

    def look_through(self, places: Sequence[int], most_connected: int) -> bool:
        """Look at all sets within each place, given as bits; False when it is too much.

        Args:
            most_connected: no set has a larger group.
        """
        self._most_connected = most_connected
        left = self._size - len(self._required)
        for place in places:
            self._look_within(members(place & ~bits(self._required)), left)
        return self._effort <= MOST_EFFORT

    def _look_within(self, units: list[int], left: int) -> None:
        rows = self._fabric.bandwidth
        # Twins have equal sums, and stay in order.
        units = sorted(units, key=lambda unit: -sum(map(rows[unit].__getitem__, units)))
        place = self._place(units, left)
        pairs = self._fabric.pairs
        begun = _Begun(0, 0, 0, 0, [0] * len(units), [0] * len(units))
        for unit in self._required:
            chosen = members(begun.chosen)
            begun = _Begun(
                begun.chosen | 1 << unit,
                begun.bandwidth + sum(rows[unit][other] for other in chosen),
                begun.nodes | self._fabric.numa_nodes[unit],
                begun.closeness + sum(pairs[unit][other] for other in chosen) + self._alone[unit],
                [gain + rows[unit][other] for gain, other in zip(begun.gains, units, strict=True)],
                [near + pairs[unit][other] for near, other in zip(begun.nearness, units, strict=True)],
            )
        self._descend(begun, place, 0, left)

    def _place(self, units: list[int], left: int) -> _Place:
        if len(units) == 1:
            return _Place(units, [(0,)], [(0,)], [[0]])
        pick = itemgetter(*units)
        bandwidth = [pick(self._fabric.bandwidth[unit]) for unit in units]
        widest = [sorted(row, reverse=True) for row in bandwidth]
        reach = [[sum(row[:count]) for row in widest] for count in range(left)]
        return _Place(units, bandwidth, [pick(self._fabric.pairs[unit]) for unit in units], reach)

    def _descend(self, begun: _Begun, place: _Place, first: int, left: int) -> None:
        """Look at all sets of what is begun and `left` units of the place, from `first` on."""
        self._effort += len(begun.gains)
        if self._effort > MOST_EFFORT:
            return
        if left == 1:
            self._finish(begun, place, first)
            return
        for number in range(len(begun.gains) - left + 1):
            if self._hopeless(begun, place.reach[left - 1][first + number :], begun.gains[number:], left):
                return
            at = first + number
            unit, after = place.units[at], number + 1
            twin = self._twins[unit]
            if twin is not None and not begun.chosen >> twin & 1:
                continue  # the set with the twin instead comes earlier
            joined = _Begun(
                begun.chosen | 1 << unit,
                begun.bandwidth + begun.gains[number],
                begun.nodes | self._fabric.numa_nodes[unit],
                begun.closeness + begun.nearness[number] + self._alone[unit],
                list(map(add, begun.gains[after:], place.bandwidth[at][at + 1 :])),
                list(map(add, begun.nearness[after:], place.pairs[at][at + 1 :])),
            )
            self._descend(joined, place, at + 1, left - 1)

    def _hopeless(self, begun: _Begun, reach: Sequence[int], gains: Sequence[int], left: int) -> bool:
        """Whether no `left` units can bring the bandwidth to that of the best set, which is as connected.

        The links of `left` units among themselves are half of the sum, over them, of those that each has there.
        """
        if self.best.connected < self._most_connected:
            return False
        twice = sorted([gain + gain + links for gain, links in zip(gains, reach, strict=True)], reverse=True)
        return sum(twice[:left]) < 2 * (self.best.bandwidth - begun.bandwidth)

    def _finish(self, begun: _Begun, place: _Place, first: int) -> None:
        """Look at all sets of what is begun and one more unit."""
        nodes_of, alone, together = self._fabric.numa_nodes, self._alone, self._fabric.together
        settled = self.best.connected >= self._most_connected  # no set is more connected
        least = self.best.bandwidth - begun.bandwidth if settled else 0
        apart = 0  # how connected a set is that the last unit has no link to; 0: not known yet
        for number, gain in enumerate(begun.gains):
            if gain < least:
                continue
            unit = place.units[first + number]
            twin = self._twins[unit]
            if twin is not None and not begun.chosen >> twin & 1:
                continue
            closeness = begun.closeness + begun.nearness[number] + alone[unit]
            rest = (begun.bandwidth + gain, together(begun.nodes | nodes_of[unit]), closeness)
            if settled and rest <= self.best[1:]:
                continue
            if gain or not apart:
                connected = self._fabric.largest_group(begun.chosen | 1 << unit)
                apart = apart if gain else connected
            worth = Worth(connected if gain else apart, *rest)
            if worth > self.best:
                self.best, self.chosen = worth, tuple(members(begun.chosen | 1 << unit))
                settled = worth.connected >= self._most_connected
                least = worth.bandwidth - begun.bandwidth if settled else 0
