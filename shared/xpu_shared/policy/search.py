"""The best set of so many units of a fabric. Exact where that is affordable, and always deterministic.

Sets grow from each unit. Where there are few sets all are looked at, but for those that cannot be better than the best
so far and those that differ from another one by twins only (`enumeration.py`). Where there are many, the grown sets are
improved by exchanging members (`growth.py`). Effort is counted in steps, not in time: the same question has one answer.
"""

from collections.abc import Mapping, Sequence
from math import comb

from xpu_shared.policy.enumeration import Enumeration
from xpu_shared.policy.fabric import Fabric, Question, bits
from xpu_shared.policy.growth import Growth

MOST_SETS = 20_000  # more are not looked at one by one
FEW_SETS = 8_000  # so many are looked at without much ado


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
    needed = bits(required)
    groups = list(fabric.groups(bits(iter(free))))
    places = [group for group in groups if group.bit_count() >= size and needed & ~group == 0]
    most = max(min(group.bit_count(), size - (needed & ~group).bit_count()) for group in groups)
    question = Question(fabric=fabric, free=free, required=required, size=size)
    growth = Growth(question)
    within, everywhere = _count(places, required, size), comb(len(free) - len(required), size - len(required))
    few = 0 < (within or everywhere) <= FEW_SETS
    growth.grow()
    if not few:
        growth.vary()
    enumeration = Enumeration(question, growth.best(most))
    if 0 < within <= MOST_SETS and enumeration.look_through(places, most) and enumeration.best.connected == size:
        return enumeration.chosen
    if everywhere <= MOST_SETS and enumeration.look_through([bits(iter(free))], most):
        return enumeration.chosen
    if few:
        growth.vary()
    return growth.polished(enumeration.chosen, growth.best(most))


def _count(places: Sequence[int], required: Sequence[int], size: int) -> int:
    """How many sets there are that lie within one of the places."""
    return sum(comb(place.bit_count() - len(required), size - len(required)) for place in places)
