"""The kubelet's picture of each resource: which devices a plugin listed, which of them may be given out."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from xpu_wire import deviceplugin_v1beta1_pb2 as pb

HEALTHY = "Healthy"  # every other text counts as unhealthy


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedDevice:
    id: str
    health: str = HEALTHY
    numa_nodes: tuple[int, ...] = ()
    empty_topology: bool = False  # it has topology information that names no node

    @property
    def healthy(self) -> bool:
        return self.health == HEALTHY


def natural(id_: str) -> tuple[list[tuple[str, int, str]], str]:
    """To sort ids by, for people: card10 comes after card9."""
    parts = re.findall(r"([^0-9]*)0*([0-9]*)", id_)
    return [(text, len(digits), digits) for text, digits in parts], id_


@dataclass(slots=True, kw_only=True)
class Resource:
    """What node status says of one resource. A name no plugin ever registered is an empty one."""

    name: str
    registered: bool = False  # known to the device manager: registered, and not lost for longer than the grace period
    devices: Mapping[str, ListedDevice] = field(default_factory=dict)
    lists: int = 0  # lists received since the simulator started
    pre_start_required: bool = False  # as its plugin said last

    @property
    def capacity(self) -> int:
        return len(self.devices)

    @property
    def allocatable(self) -> int:
        return len(self.healthy)

    @property
    def healthy(self) -> frozenset[str]:
        return frozenset(device.id for device in self.devices.values() if device.healthy)

    def replace(self, devices: Iterable[pb.Device]) -> None:
        """A new list replaces everything; of equal ids the last one stays."""
        self.devices = {device.ID: _listed(device) for device in devices}
        self.lists += 1

    def lose(self) -> None:
        """Its plugin is gone: nothing of it may be given out, all of it still counts."""
        self.devices = {device.id: replace(device, health="Unhealthy") for device in self.devices.values()}

    def forget(self) -> None:
        self.devices = {}
        self.pre_start_required = False


def _listed(device: pb.Device) -> ListedDevice:
    numa_nodes = tuple(node.ID for node in device.topology.nodes)
    empty = device.HasField("topology") and not numa_nodes
    return ListedDevice(id=device.ID, health=device.health, numa_nodes=numa_nodes, empty_topology=empty)


class Resources(dict[str, Resource]):
    """Resources by name. Looking up a name that nobody registered gives an empty resource."""

    def __missing__(self, name: str) -> Resource:
        return Resource(name=name)
