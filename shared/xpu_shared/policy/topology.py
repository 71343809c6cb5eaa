"""Which ids a container should get when it matters how the units behind them are joined: those with the best links.

Different units as long as there are any; the best set of them by `fabric.py`'s worth; then further aliases of these,
filling those first that are used most. Without links it is nearness alone: NUMA nodes, root ports.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from xpu_shared.policy.fabric import Fabric
from xpu_shared.policy.ids import natural, split, unit_of
from xpu_shared.policy.search import best_set


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a unit of hardware is."""

    numa_nodes: tuple[int, ...] = ()
    root_port: str | None = None  # the PCI address of the port below which it is; None: it is on the root bus itself


NOWHERE = Place()


class Topology:
    """A policy, see `sharing.py`, that knows the places of units and the links between them.

    Args:
        places: by unit.
        bandwidth: of the direct links between two units, by unit names in any order; more than one entry for a pair,
            such as one for each of several links, add up. Entries of a unit with itself mean nothing.
    """

    def __init__(self, places: Mapping[str, Place], bandwidth: Mapping[tuple[str, str], int] | None = None) -> None:
        self._places = places
        self._bandwidth = bandwidth or {}
        self._units: list[str] = []
        self._fabric = self._woven(places)

    def __call__(self, available: Sequence[str], must_include: Sequence[str], size: int) -> tuple[str, ...]:
        first, others = split(available, must_include)
        free = {unit: len(ids) for unit, ids in others.items()}
        begun = dict.fromkeys(unit_of(id_) for id_ in first)
        count = len(begun) + min(max(size - len(first), 0), len(free.keys() - begun))
        chosen = self._best({**dict.fromkeys(begun, 0), **free}, list(begun), count)
        joining = [others[unit][0] for unit in chosen if unit not in begun]
        used_most_first = sorted((unit for unit in chosen if unit in others), key=free.__getitem__)
        further = (id_ for unit in used_most_first for id_ in (others[unit] if unit in begun else others[unit][1:]))
        return tuple(islice(chain(first, joining, further), size))

    def _best(self, free: Mapping[str, int], begun: Sequence[str], count: int) -> list[str]:
        """The best units, in order."""
        if not free.keys() <= set(self._units):  # a unit that nothing is known of
            self._fabric = self._woven([*self._units, *free])
        number = {unit: place for place, unit in enumerate(self._units)}
        best = best_set(
            self._fabric, {number[unit]: ids for unit, ids in free.items()}, [number[unit] for unit in begun], count
        )
        return [self._units[place] for place in best]

    def _woven(self, units: Iterable[str]) -> Fabric:
        self._units = sorted(dict.fromkeys(units), key=natural)
        number = {unit: place for place, unit in enumerate(self._units)}
        bandwidth: dict[tuple[int, int], int] = {}
        for (unit, other), width in self._bandwidth.items():
            if unit != other and unit in number and other in number:
                pair = min(number[unit], number[other]), max(number[unit], number[other])
                bandwidth[pair] = bandwidth.get(pair, 0) + width
        places = [self._places.get(unit, NOWHERE) for unit in self._units]
        return Fabric(
            bandwidth=bandwidth,
            numa_nodes=[place.numa_nodes for place in places],
            root_ports=[place.root_port for place in places],
        )
