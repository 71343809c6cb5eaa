"""Pods as the device manager sees them: which ids a pod owns and what its container was given for them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from xpu_shared.device import Allocation, DeviceNode, Mount
from xpu_wire import deviceplugin_v1beta1_pb2 as pb

NAMESPACE = "default"  # of every pod
CONTAINER = "main"  # the one container of every pod


class AdmissionError(Exception):
    """The pod is rejected for good, with the reason and message that its status shows."""

    def __init__(self, pod: str, reason: str, message: str) -> None:
        super().__init__(f"pod {pod}: {reason}: {message}")
        self.pod = pod
        self.reason = reason
        self.message = message


@dataclass(slots=True, kw_only=True)
class Pod:
    """An admitted pod of one container."""

    name: str
    devices: Mapping[str, Sequence[str]]  # ids by resource
    given: Allocation = field(default_factory=Allocation)  # what the container runtime is told
    running: bool = False
    message: str = ""  # why it does not run


def merge(answers: Iterable[pb.ContainerAllocateResponse]) -> Allocation:
    """What a container of several resources gets: of two answers with the same key the first wins."""
    nodes: dict[str, DeviceNode] = {}
    mounts: dict[str, Mount] = {}
    envs: dict[str, str] = {}
    annotations: dict[str, str] = {}
    cdi_names: dict[str, None] = {}
    for answer in answers:
        for device in answer.devices:
            nodes.setdefault(device.container_path, _node(device))
        for mount in answer.mounts:
            mounts.setdefault(mount.container_path, _mount(mount))
        envs = {**answer.envs, **envs}
        annotations = {**answer.annotations, **annotations}
        cdi_names |= dict.fromkeys(device.name for device in answer.cdi_devices)
    return Allocation(
        nodes=tuple(nodes.values()),
        mounts=tuple(mounts.values()),
        envs=envs,
        annotations=annotations,
        cdi_names=tuple(cdi_names),
    )


def _node(device: pb.DeviceSpec) -> DeviceNode:
    return DeviceNode(host_path=device.host_path, container_path=device.container_path, permissions=device.permissions)


def _mount(mount: pb.Mount) -> Mount:
    return Mount(host_path=mount.host_path, container_path=mount.container_path, read_only=mount.read_only)
