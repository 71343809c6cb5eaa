"""The values of a scan: a work queue that is offered, and what one scan has to tell the next."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from xpu_shared.device import Device, DeviceNode, Health


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    name: str  # wq2.1
    device: str  # dsa2
    type: str
    mode: str
    resource: str = ""  # what its name adds to its resource's
    slots: int  # how many containers may hold it
    nodes: tuple[DeviceNode, ...] = ()
    numa_nodes: tuple[int, ...] = ()
    pci_address: str | None = None  # of the device
    label: str = ""  # what the administrator named it
    reason: str = ""  # why it is unhealthy

    @property
    def device_type(self) -> str:
        return f"{self._kind}-{self.resource}" if self.resource else self._kind

    @property
    def _kind(self) -> str:
        return f"wq-{self.type}-{self.mode}"

    @property
    def ids(self) -> Iterator[str]:
        return (f"{self._kind}-{self.name}-{slot}" for slot in range(self.slots))

    @property
    def devices(self) -> Iterator[Device]:
        """One for each slot."""
        health = Health.UNHEALTHY if self.reason else Health.HEALTHY
        for id_ in self.ids:
            yield Device(id=id_, nodes=self.nodes, numa_nodes=self.numa_nodes, health=health, reason=self.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a scan has to know of those before it."""

    offered: Mapping[str, Queue] = field(default_factory=dict)  # by name of the queue
    waiting: Mapping[str, float] = field(default_factory=dict)  # since when for a device file, in monotonic seconds
