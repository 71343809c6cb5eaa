"""Which ids of shared devices a container should get: apart from each other, evenly, or close together.

Units and ids come in the order of `ids.py`. Every answer depends on the two sets of ids and the size alone; it begins
with the ids that must be included.
"""

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from itertools import chain, islice

from xpu_shared.policy.ids import split, unit_of

Policy = Callable[[Sequence[str], Sequence[str], int], tuple[str, ...]]


def none(available: Sequence[str], must_include: Sequence[str], size: int) -> tuple[str, ...]:
    """Choose one id of each unit, then the others, both in order."""
    first, free = split(available, must_include)
    taken = {unit_of(id_) for id_ in first}
    one_each = [ids[0] for unit, ids in free.items() if unit not in taken]
    others = (id_ for unit, ids in free.items() for id_ in (ids if unit in taken else ids[1:]))
    return tuple(islice(chain(first, one_each, others), size))


def balanced(available: Sequence[str], must_include: Sequence[str], size: int) -> tuple[str, ...]:
    """Choose each id from the unit with the most free ids at that moment; of equal ones the first."""
    first, free = split(available, must_include)
    chosen = first[:size]
    queues = [iter(ids) for ids in free.values()]
    heap = [(-len(ids), order) for order, ids in enumerate(free.values())]
    heapify(heap)
    while heap and len(chosen) < size:
        left, order = heappop(heap)
        chosen.append(next(queues[order]))
        if left < -1:
            heappush(heap, (left + 1, order))
    return tuple(chosen)


def packed(available: Sequence[str], must_include: Sequence[str], size: int) -> tuple[str, ...]:
    """Fill one unit after the other: those of `must_include`, then those with the fewest free ids, then in order."""
    first, free = split(available, must_include)
    begun = {unit_of(id_) for id_ in first}
    units = sorted(free, key=lambda unit: (unit not in begun, len(free[unit])))
    return tuple(islice(chain(first, chain.from_iterable(free[unit] for unit in units)), size))


POLICIES: dict[str, Policy] = {"none": none, "balanced": balanced, "packed": packed}
