"""Sets of units that grow: what belongs to the members most joins next, and later takes the place of another.

When nothing belongs to the members, what can still attract most does. The work is adding rows of numbers, one for each
unit that joins; it is counted, and there is an end to it.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import nlargest
from operator import add, sub

from xpu_shared.policy.fabric import Question, bits, members

MOST_GROWN, MOST_VARIED, MOST_IMPROVED = 30_000, 3_000, 6_000  # numbers to add, the latter two for each member
MOST_PAID = 7  # members for which there is more effort: some milliseconds in all
MOST_PARTNERS = 5  # of each seed, the most attractive ones
MOST_COMPARED = 8  # sets, in every respect
MOST_TRIED = 24  # exchanges of the best set at a time
MOST_POLISHED = 64  # members, in all rounds of that


class Growth:
    """`grow` makes a set from each of the free units, `vary` makes more and better ones; `best` is the best so far."""

    def __init__(self, question: Question) -> None:
        self._fabric = fabric = question.fabric
        self._free = question.free
        self._required = list(question.required)
        self._size = question.size
        self._sets: dict[tuple[int, ...], int] = {}  # and how much their members attract each other
        self._out = (fabric.size + 1) * (fabric.size + max(map(max, fabric.attraction)))  # more than any pull
        self._begin = self._ranks()
        for unit in self._required:
            self._begin = self._pull(self._begin, unit)
        twins = question.twins()
        seeds = [unit for unit in self._free if unit not in self._required and twins[unit] is None]
        self._seeds = sorted(seeds, key=self._begin.__getitem__, reverse=True)

    def grow(self) -> None:
        bridged = self._bridged()
        if len(bridged) > len(self._required):
            pull = self._begin
            for unit in bridged[len(self._required) :]:
                pull = self._pull(pull, unit)
            self._grow(bridged, pull)
        effort = MOST_GROWN
        for seed in self._seeds:
            effort -= self._grow([*self._required, seed], self._pull(self._begin, seed))
            if effort < 0:
                break

    def vary(self) -> None:
        """Let another one be the first that joins a seed, and improve what there is by exchanging members."""
        paid = min(self._size, MOST_PAID)
        effort = MOST_VARIED * paid
        for begun, pull in self._variants():
            effort -= self._grow(begun, pull)
            if effort < 0:
                break
        effort = MOST_IMPROVED * paid
        improved: set[tuple[int, ...]] = set()
        for grown in sorted(self._sets, key=self._by_attraction, reverse=True):
            if grown not in improved:
                found, spent = self._improve(grown)
                improved.add(found)
                effort -= spent
                if effort < 0:
                    break

    def _variants(self) -> Iterator[tuple[list[int], list[int]]]:
        """What sets can begin with, and how much that attracts: each seed with its second best partner first."""
        if self._size - len(self._required) < 2:
            return
        begun = [self._pull(self._begin, seed) for seed in self._seeds]
        left = [pull.copy() for pull in begun]
        for _ in range(1, MOST_PARTNERS):
            for seed, pull, others in zip(self._seeds, begun, left, strict=True):
                others[others.index(max(others))] -= self._out
                partner = others.index(max(others))
                if others[partner] >= 0:
                    yield [*self._required, seed, partner], self._pull(pull, partner)

    def best(self, most_connected: int) -> tuple[int, ...]:
        """Where sets attract each other less and less, those that are connected best come first."""
        found: dict[int, list[tuple[int, ...]]] = {}
        for one in sorted(self._sets, key=self._by_attraction, reverse=True):
            alike = found.setdefault(self._fabric.largest_group(bits(one)), [])
            alike.append(one)
            if len(alike) == MOST_COMPARED and max(found) == most_connected:
                break
        return max(found[max(found)][:MOST_COMPARED], key=self._worth)

    def polished(self, *sets: tuple[int, ...]) -> tuple[int, ...]:
        """The best of the sets, its members exchanged as long as that makes it better."""
        best = max(sets, key=self._worth)
        for _ in range(1 + MOST_POLISHED // self._size):
            worth = self._worth(best)
            better = next((found for found in self._exchanges(best) if self._worth(found) > worth), None)
            if better is None:
                break
            best = better
        return best

    def _ranks(self) -> list[int]:
        """Of the free units, below all bits of attraction; other units are out of the question."""
        attraction, available = self._fabric.attraction, sorted(self._free)

        def promise(unit: int) -> int:
            return sum(sorted([attraction[unit][other] for other in available], reverse=True)[: self._size - 1])

        ranks = [-self._out] * self._fabric.size
        order = sorted((promise(unit), self._fabric.alone(unit, self._free[unit]), unit) for unit in available)
        for rank, (_, _, unit) in enumerate(order):
            ranks[unit] = rank
        return ranks

    def _pull(self, pull: Iterable[int], unit: int) -> list[int]:
        """How much a set attracts each unit when one more has joined; that one is out of the question now."""
        joined = list(map(add, pull, self._fabric.attraction[unit]))
        joined[unit] -= self._out
        return joined

    def _grow(self, begun: list[int], pull: list[int]) -> int:
        """Returns the effort."""
        missing = self._size - len(begun)
        for _ in range(missing):
            joins = pull.index(max(pull))
            begun.append(joins)
            pull = self._pull(pull, joins)
        self._keep(begun, pull)
        return (missing + 1) * len(pull)

    def _keep(self, found: Sequence[int], pull: Sequence[int]) -> tuple[int, ...]:
        kept = tuple(sorted(found))
        self._sets[kept] = sum([pull[unit] for unit in found])
        return kept

    def _by_attraction(self, found: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        return self._sets[found], found

    def _worth(self, found: tuple[int, ...]) -> tuple[int, ...]:
        return self._fabric.worth(found, self._free)

    def _improve(self, grown: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
        """Exchange members as long as they attract each other more by it. Returns the set, and the effort."""
        inside, pull, effort = list(grown), self._begin, 0
        for unit in inside:
            if unit not in self._required:
                pull = self._pull(pull, unit)
        while True:
            effort += len(inside) * len(pull)
            gain, goes, comes = max(self._best_exchange(pull, goes) for goes in inside if goes not in self._required)
            if gain <= 0:
                break
            inside = [unit for unit in inside if unit != goes] + [comes]
            pull = self._pull(map(sub, pull, self._fabric.attraction[goes]), comes)
            pull[goes] += self._out
        return self._keep(inside, pull), effort

    def _best_exchange(self, pull: Sequence[int], goes: int) -> tuple[int, int, int]:
        """What is gained, and by whom."""
        left = list(map(sub, pull, self._fabric.attraction[goes]))
        most = max(left)
        return most - (pull[goes] + self._out), goes, left.index(most)

    def _exchanges(self, found: tuple[int, ...]) -> list[tuple[int, ...]]:
        """The most attractive sets that differ from one in one member."""
        rows = self._fabric.attraction
        pull = [sum([row[unit] for unit in found]) for row in rows]
        exchanges = [
            (pull[comes] - pull[goes] - rows[goes][comes], -goes, -comes)
            for goes in found
            if goes not in self._required
            for comes in self._free
            if comes not in found
        ]
        best = nlargest(MOST_TRIED, exchanges)
        return [tuple(sorted({*found, -comes} - {-goes})) for _, goes, comes in best]

    def _bridged(self) -> list[int]:
        """The required units and, if they are not linked with each other, those on the shortest ways between them."""
        bridged = self._required[:1]
        everything = bits(iter(self._free))
        for unit in self._required[1:]:
            bridged += [one for one in self._way(bits(bridged), unit, everything) if one not in bridged]
        first = [*self._required, *(unit for unit in bridged if unit not in self._required)]
        return first if len(first) <= self._size else self._required

    def _way(self, begin: int, end: int, units: int) -> list[int]:
        """The units on a shortest way from any of `begin` to one unit; that unit alone when there is none."""
        rings = [begin]
        seen = begin
        while not seen >> end & 1:
            reached = bits_of_all(self._fabric.neighbours, rings[-1]) & units & ~seen
            if not reached:
                return [end]
            seen |= reached
            rings.append(reached)
        way = [end]
        for ring in rings[-2:0:-1]:
            way.append(members(ring & self._fabric.neighbours[way[-1]])[0])
        return way


def bits_of_all(rows: Sequence[int], units: int) -> int:
    """What the rows of some units have, together."""
    together = 0
    for unit in members(units):
        together |= rows[unit]
    return together
