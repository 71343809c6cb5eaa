"""What a simulation is like now: for the live view, and for `xpu-simulator status`.

Values that are also JSON; a field may be added, the others stay.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, computed_field

from xpu_simulator.device import SimulatedDevice
from xpu_simulator.families.gpu.device import Gpu
from xpu_simulator.kubelet.events import Event, KubeletStarted, KubeletStopped
from xpu_simulator.kubelet.pods import Pod
from xpu_simulator.kubelet.resources import Resource, natural
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.simulated_node import SimulatedNode


class Values(BaseModel):
    model_config = ConfigDict(frozen=True)


class HardwareStatus(Values):
    name: str
    driver: str | None  # None: it is pulled out


class DeviceStatus(Values):
    id: str
    health: str
    numa_nodes: Sequence[int]
    pod: str | None  # who holds it


class ResourceStatus(Values):
    name: str
    capacity: int
    allocatable: int
    devices: Sequence[DeviceStatus]


class PodStatus(Values):
    name: str
    running: bool
    message: str  # why it does not run
    devices: dict[str, Sequence[str]]  # ids by resource


class KubeletStatus(Values):
    version: str
    running: bool


class Status(Values):
    name: str
    directory: Path
    kubelet: KubeletStatus
    hardware: Mapping[str, Sequence[HardwareStatus]]  # by the title of its family
    resources: Sequence[ResourceStatus]
    pods: Sequence[PodStatus]

    @computed_field  # type: ignore[prop-decorator]  # pydantic wants it so
    @property
    def gpus(self) -> Sequence[HardwareStatus]:
        return self.hardware.get(Gpu.title, ())


class Observer:
    """Knows what a simulation is like; made before its kubelet starts."""

    def __init__(self, name: str, node: SimulatedNode, kubelet: SimulatedKubelet, *, version: str) -> None:
        self._name = name
        self._node = node
        self._kubelet = kubelet
        self._version = version
        self._running = False
        kubelet.events.subscribe(self._see)

    def status(self) -> Status:
        kubelet = self._kubelet
        return Status(
            name=self._name,
            directory=self._node.tree.root,
            kubelet=KubeletStatus(version=self._version, running=self._running),
            hardware={title: _hardware(devices) for title, devices in self._node.devices.items()},
            resources=[_resource(kubelet.resources[name], kubelet.pods) for name in sorted(kubelet.resources)],
            pods=[_pod(pod) for pod in kubelet.pods.values()],
        )

    def _see(self, event: Event) -> None:
        if isinstance(event, KubeletStarted | KubeletStopped):
            self._running = isinstance(event, KubeletStarted)


def _hardware(devices: Mapping[str, SimulatedDevice | None]) -> Sequence[HardwareStatus]:
    return [HardwareStatus(name=name, driver=device.driver if device else None) for name, device in devices.items()]


def _pod(pod: Pod) -> PodStatus:
    return PodStatus(name=pod.name, running=pod.running, message=pod.message, devices=dict(pod.devices))


def _resource(resource: Resource, pods: Mapping[str, Pod]) -> ResourceStatus:
    holders = {id_: pod.name for pod in pods.values() for id_ in pod.devices.get(resource.name, ())}
    devices = [
        DeviceStatus(id=device.id, health=device.health, numa_nodes=device.numa_nodes, pod=holders.get(device.id))
        for device in sorted(resource.devices.values(), key=lambda device: natural(device.id))
    ]
    return ResourceStatus(
        name=resource.name, capacity=resource.capacity, allocatable=resource.allocatable, devices=devices
    )
