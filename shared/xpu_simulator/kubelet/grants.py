"""Which pod was given which devices, and what for: what a kubelet remembers in its checkpoint."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from xpu_wire import deviceplugin_v1beta1_pb2 as pb

NO_NODE = -1  # stands for the NUMA node of a device that names none


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a pod was given of one resource."""

    pod: str
    resource: str
    nodes: Mapping[int, Sequence[str]]  # ids by NUMA node; a device on two nodes is there twice
    answer: pb.ContainerAllocateResponse

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(id_ for ids in self.nodes.values() for id_ in ids)


class Grants:
    """One at most for each pod and resource."""

    def __init__(self) -> None:
        self._grants: dict[tuple[str, str], Grant] = {}

    def __iter__(self) -> Iterator[Grant]:
        return iter(self._grants.values())

    def add(self, grant: Grant) -> None:
        self._grants[grant.pod, grant.resource] = grant

    def replace(self, grants: Iterable[Grant]) -> None:
        self._grants = {(grant.pod, grant.resource): grant for grant in grants}

    def free(self, pod: str) -> None:
        self.replace(grant for grant in self if grant.pod != pod)

    def of(self, pod: str) -> tuple[Grant, ...]:
        return tuple(grant for grant in self if grant.pod == pod)

    def ids(self, pod: str, resource: str) -> frozenset[str]:
        """Those of one pod; none when it was given nothing."""
        grant = self._grants.get((pod, resource))
        return grant.ids if grant else frozenset()

    def in_use(self, resource: str) -> frozenset[str]:
        return frozenset(id_ for grant in self if grant.resource == resource for id_ in grant.ids)
