"""The topology manager: which NUMA nodes a pod's devices shall be on, as far as devices have a say. Values only.

Each resource gives hints: sets of nodes whose devices would do. The hints of all resources are merged, one of each at
a time, and the policy says whether the best result is good enough. A resource none of whose devices names a node has
no opinion. In a resource where some do, the others count for no set of nodes, and are given out last.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from xpu_simulator.kubelet.resources import ListedDevice

MOST_NODES = 8  # a kubelet with more does not start under any policy but none: every set of them is tried
NODE_IDS = range(64)  # a kubelet keeps sets of nodes as the bits of a number

Nodes = frozenset[int]


class Policy(StrEnum):
    NONE = "none"
    BEST_EFFORT = "best-effort"
    RESTRICTED = "restricted"
    SINGLE_NUMA_NODE = "single-numa-node"


def checked_policy(name: str, numa_nodes: Sequence[int] | None) -> Policy:
    """The policy of a name on a machine with these nodes; ValueError says what kubelets do not take."""
    if name not in list(Policy):
        raise ValueError(f"topology policy {name!r}: expected one of {', '.join(Policy)}")
    if strange := [node for node in numa_nodes or () if node not in NODE_IDS]:
        raise ValueError(f"NUMA node {strange[0]}: expected 0 to 63")
    if name != Policy.NONE and len(numa_nodes or ()) > MOST_NODES:
        raise ValueError(f"topology policy {name!r}: at most {MOST_NODES} NUMA nodes, found {len(numa_nodes or ())}")
    return Policy(name)


class TopologyAffinityError(Exception):
    """The policy rejects the pod."""

    def __init__(self) -> None:
        super().__init__("Resources cannot be allocated with Topology locality")


@dataclass(frozen=True, slots=True)
class Hint:
    nodes: Nodes | None  # None: any
    preferred: bool


ANYWHERE = Hint(None, preferred=True)
NOWHERE = Hint(None, preferred=False)


def hints(
    devices: Mapping[str, ListedDevice], available: Collection[str], needed: int, nodes: Sequence[int]
) -> tuple[Hint, ...]:
    """Every set of `nodes` with enough available devices; preferred are those of the size that an empty node needs.

    Args:
        devices: all of the resource by id, also unhealthy and taken ones.
        available: ids that may be given out, or those that the pod has already.
    """
    if not names_nodes(devices.values()):
        return (ANYWHERE,)
    sets = [Nodes(chosen) for size in range(1, len(nodes) + 1) for chosen in combinations(sorted(nodes), size)]
    smallest = min((len(set_) for set_ in sets if _touching(devices.values(), set_) >= needed), default=len(nodes))
    free = [devices[id_] for id_ in available if id_ in devices]
    return tuple(Hint(set_, preferred=len(set_) == smallest) for set_ in sets if _touching(free, set_) >= needed) or (
        NOWHERE,
    )


def names_nodes(devices: Iterable[ListedDevice]) -> bool:
    return any(device.numa_nodes for device in devices)


def _touching(devices: Iterable[ListedDevice], nodes: Nodes) -> int:
    return sum(not nodes.isdisjoint(device.numa_nodes) for device in devices)


def affinity(policy: Policy, by_resource: Sequence[Sequence[Hint]], nodes: Sequence[int]) -> Nodes | None:
    """The nodes that devices shall be taken from, None when that is all the same.

    Raises:
        TopologyAffinityError: the policy wants better than what there is.
    """
    if policy is Policy.NONE:
        return None
    if policy is Policy.SINGLE_NUMA_NODE:
        by_resource = [[hint for hint in hints if _on_one_node(hint)] for hints in by_resource]
    best = merge(by_resource, nodes)
    if not best.preferred and policy is not Policy.BEST_EFFORT:
        raise TopologyAffinityError
    return None if policy is Policy.SINGLE_NUMA_NODE and best.nodes == Nodes(nodes) else best.nodes


def _on_one_node(hint: Hint) -> bool:
    return hint.preferred and (hint.nodes is None or len(hint.nodes) == 1)


def merge(by_resource: Sequence[Sequence[Hint]], nodes: Sequence[int]) -> Hint:
    """What one hint of each resource have in common, at its best. It is preferred when they are, and are equal."""
    everywhere = Nodes(nodes)
    states = {_Merged(everywhere, None, preferred=True)}
    for resource in by_resource:
        states = {state.joined(hint) for state in states for hint in resource}
    ideal = _most_needed(by_resource)
    best = min((state for state in states if state.nodes), key=lambda state: state.badness(ideal), default=None)
    return Hint(best.nodes, best.preferred) if best else Hint(everywhere, preferred=False)


@dataclass(frozen=True, slots=True)
class _Merged:
    """Some hints in one: the nodes in all of them, and those of the first that names any."""

    nodes: Nodes
    first: Nodes | None
    preferred: bool

    def joined(self, hint: Hint) -> "_Merged":
        preferred = self.preferred and hint.preferred
        if hint.nodes is None:
            return _Merged(self.nodes, self.first, preferred)
        agreed = self.first in (None, hint.nodes)
        return _Merged(self.nodes & hint.nodes, self.first or hint.nodes, preferred and agreed)

    def badness(self, ideal: int) -> tuple[bool, bool, int, tuple[int, int]]:
        """Preferred ones come first, the narrowest before all.

        Of the others those come first that have `ideal` nodes, then fewer of them, and more only if there is no other.
        """
        if self.preferred:
            return False, False, 0, _width(self.nodes)
        return True, len(self.nodes) > ideal, abs(len(self.nodes) - ideal), _width(self.nodes)


def _most_needed(by_resource: Sequence[Sequence[Hint]]) -> int:
    """How many nodes the resource needs that needs the most."""
    needs = (min((len(hint.nodes) for hint in hints if hint.nodes), default=0) for hints in by_resource)
    return max(needs, default=0)


def _width(nodes: Nodes) -> tuple[int, int]:
    """Narrower is less: fewer nodes, and of as many those with lower numbers."""
    return len(nodes), sum(1 << node for node in nodes)


def split(
    devices: Mapping[str, ListedDevice], available: Collection[str], nodes: Nodes | None
) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Divide ids into those on the nodes wanted, those on others, and those on none, or all when nothing is wanted."""
    if nodes is None or not names_nodes(devices.values()):
        return frozenset(), frozenset(), frozenset(available)
    on_none = frozenset(id_ for id_ in available if not devices[id_].numa_nodes)
    aligned = frozenset(id_ for id_ in available if not nodes.isdisjoint(devices[id_].numa_nodes))
    return aligned, frozenset(available) - aligned - on_none, on_none
