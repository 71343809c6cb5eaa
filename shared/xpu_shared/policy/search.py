"""The best set of so many units of a fabric. Exact where that is affordable, and always deterministic.

Where there are few sets they are looked at one by one, but for those that cannot be better than the best so far and
those that differ from another one by twins only. Where there are many, a set grows from each unit, and the best of
these are improved by exchanging members. Effort is counted in steps, not in time: the same question has one answer.
"""

from collections.abc import Mapping, Sequence
from math import comb
from typing import NamedTuple

from xpu_shared.policy.fabric import Fabric, Worth, bits, members

MOST_SETS = 20_000  # more are not looked at one by one
MOST_STEPS = 2_500  # of looking at sets one by one: some milliseconds
MOST_IMPROVED = 4  # of the grown sets


def best_set(fabric: Fabric, free: Mapping[int, int], required: Sequence[int], size: int) -> tuple[int, ...]:
    """The best `size` of the free units, the required ones among them, ascending.

    Args:
        free: the units that can be had, each with the number of its free aliases.
        required: some of them.
        size: from the number of required units to the number of free ones.
    """
    required = sorted(required)
    if size == len(required):
        return tuple(required)
    grown = _grown(fabric, free, required, size)
    everything, needed = bits(iter(free)), bits(required)
    places = [group for group in fabric.groups(everything) if group.bit_count() >= size and needed & ~group == 0]
    search = _Search(fabric, free, required, size, grown[0])
    if places and search.looked_through(places, most_connected=size) and search.best.connected == size:
        return search.chosen
    most = max(min(group.bit_count(), size - (needed & ~group).bit_count()) for group in fabric.groups(everything))
    if search.looked_through([everything], most_connected=most):
        return search.chosen
    candidates = [*grown[:MOST_IMPROVED], search.chosen]
    return max(
        (_improved(fabric, free, required, candidate) for candidate in dict.fromkeys(candidates)),
        key=lambda candidate: fabric.worth(candidate, free),
    )


class _Search:
    """Looks at sets one by one, in order, and keeps the best."""

    def __init__(
        self, fabric: Fabric, free: Mapping[int, int], required: Sequence[int], size: int, chosen: tuple[int, ...]
    ) -> None:
        self.chosen = chosen
        self.best = fabric.worth(chosen, free)
        self._fabric = fabric
        self._required = required
        self._size = size
        self._twins = _twins(fabric, free, required)
        self._alone = [fabric.alone(unit, free.get(unit, 0)) for unit in range(fabric.size)]
        self._most_connected = size
        self._steps = 0

    def looked_through(self, places: Sequence[int], *, most_connected: int) -> bool:
        """Look at all sets within each place, given as bits; False when there are too many."""
        self._most_connected = most_connected
        left = self._size - len(self._required)
        if sum(comb(place.bit_count() - len(self._required), left) for place in places) > MOST_SETS:
            return False
        begun = _Begun.empty(self._fabric.size)
        for unit in self._required:
            begun = begun.joined_by(unit, self._fabric, self._alone[unit])
        for place in places:
            self._descend(begun, members(place & ~begun.chosen), left)
        return self._steps <= MOST_STEPS

    def _descend(self, begun: "_Begun", units: list[int], left: int) -> None:
        """Look at all sets of what is begun and `left` of `units`."""
        for place in range(len(units) - left + 1):
            unit = units[place]
            twin = self._twins[unit]
            if twin is not None and not begun.chosen >> twin & 1:
                continue  # the set with the twin instead comes earlier
            self._steps += 1
            if left == 1:
                self._consider(begun, unit)
            else:
                others = units[place + 1 :]
                larger = begun.joined_by(unit, self._fabric, self._alone[unit])
                if not self._hopeless(larger, others, left - 1):
                    self._descend(larger, others, left - 1)
            if self._steps > MOST_STEPS:
                return

    def _consider(self, begun: "_Begun", last: int) -> None:
        bandwidth = begun.bandwidth + begun.gains[last]
        nodes = begun.nodes | self._fabric.numa_nodes[last]
        rest = (bandwidth, -nodes.bit_count(), begun.closeness + begun.nearness[last] + self._alone[last])
        if self.best.connected >= self._most_connected and rest <= self.best[1:]:
            return
        chosen = begun.chosen | 1 << last
        worth = Worth(self._fabric.largest_group(chosen), *rest)
        if worth > self.best:
            self.best, self.chosen = worth, tuple(members(chosen))

    def _hopeless(self, begun: "_Begun", units: list[int], left: int) -> bool:
        """Whether no `left` of the units can bring the bandwidth to that of the best set, which is as connected."""
        if self.best.connected < self._most_connected:
            return False
        most = left * max(begun.gains[unit] for unit in units) + self._fabric.fastest * left * (left - 1) // 2
        return begun.bandwidth + most < self.best.bandwidth


class _Begun(NamedTuple):
    """A set that more units will join, and what each would bring."""

    chosen: int  # as bits
    bandwidth: int
    nodes: int  # as bits
    closeness: int
    gains: list[int]  # of bandwidth, by unit
    nearness: list[int]  # gains of closeness by pairs, by unit

    @staticmethod
    def empty(size: int) -> "_Begun":
        return _Begun(0, 0, 0, 0, [0] * size, [0] * size)

    def joined_by(self, unit: int, fabric: Fabric, alone: int) -> "_Begun":
        return _Begun(
            self.chosen | 1 << unit,
            self.bandwidth + self.gains[unit],
            self.nodes | fabric.numa_nodes[unit],
            self.closeness + self.nearness[unit] + alone,
            _sums(self.gains, fabric.bandwidth[unit]),
            _sums(self.nearness, fabric.pairs[unit]),
        )


def _twins(fabric: Fabric, free: Mapping[int, int], required: Sequence[int]) -> list[int | None]:
    """For each unit the free one before it that nothing but the order tells from it."""
    last: dict[tuple[int, int], int] = {}
    twins: list[int | None] = [None] * fabric.size
    for unit in sorted(free.keys() - set(required)):
        kind = (fabric.twin_classes[unit], free[unit])
        twins[unit] = last.get(kind)
        last[kind] = unit
    return twins


def _grown(fabric: Fabric, free: Mapping[int, int], required: Sequence[int], size: int) -> list[tuple[int, ...]]:
    """Sets that have grown from each unit, best first: what belongs to the members most joins next.

    When nothing belongs to them, what can still attract most does.
    """
    available = sorted(free)
    promise = {unit: _promise(fabric.attraction[unit], available, size) for unit in available}
    ranks = [0] * fabric.size  # below all bits of attraction
    for rank, unit in enumerate(sorted(available, key=lambda unit: (promise[unit], fabric.alone(unit, free[unit])))):
        ranks[unit] = rank
    for unit in required:
        ranks = _sums(ranks, fabric.attraction[unit])
    twins = _twins(fabric, free, required)
    sets = set()
    for seed in available:
        if seed not in required and twins[seed] is None:
            sets.add(_grow(fabric, available, [*required, seed], _sums(ranks, fabric.attraction[seed]), size))
    return sorted(sets, key=lambda candidate: fabric.worth(candidate, free), reverse=True)


def _promise(attraction: Sequence[int], available: Sequence[int], size: int) -> int:
    return sum(sorted([attraction[unit] for unit in available], reverse=True)[: size - 1])


def _grow(fabric: Fabric, available: Sequence[int], begun: list[int], pull: list[int], size: int) -> tuple[int, ...]:
    others = [unit for unit in available if unit not in begun]
    while len(begun) < size:
        joins = max(others, key=pull.__getitem__)
        begun.append(joins)
        others.remove(joins)
        pull = _sums(pull, fabric.attraction[joins])
    return tuple(sorted(begun))


def _improved(
    fabric: Fabric, free: Mapping[int, int], required: Sequence[int], candidate: tuple[int, ...]
) -> tuple[int, ...]:
    """Exchange one member for another as long as the set becomes better by it."""
    best = fabric.worth(candidate, free)
    inside = list(candidate)
    for _ in range(len(candidate)):
        pull = [0] * fabric.size
        for unit in inside:
            pull = _sums(pull, fabric.attraction[unit])
        outside = [unit for unit in free if unit not in inside]
        exchanges = [
            (pull[comes] - pull[goes] - fabric.attraction[goes][comes], -goes, -comes)
            for goes in inside
            if goes not in required
            for comes in outside
        ]
        if not exchanges:
            break
        _, goes, comes = max(exchanges)
        changed = sorted([unit for unit in inside if unit != -goes] + [-comes])
        worth = fabric.worth(changed, free)
        if worth <= best:
            break
        inside, best = changed, worth
    return tuple(inside)


def _sums(values: Sequence[int], others: Sequence[int]) -> list[int]:
    return [value + other for value, other in zip(values, others, strict=True)]
