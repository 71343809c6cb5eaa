"""The values every plugin describes its hardware with: what the kubelet is told, not how it was found.

Values only: sysfs is read in `kernel/`, protobuf messages are built in `kubelet/`, CDI files in `cdi.py`.
A field may be added once every plugin has an answer for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Health(StrEnum):  # spelled as device plugin API v1beta1 spells them
    HEALTHY = "Healthy"
    UNHEALTHY = "Unhealthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceNode:
    """A device file: where the container runtime finds it, where the container sees it."""

    host_path: str
    container_path: str
    permissions: str = "rw"  # a subset of r, w, m (mknod)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    host_path: str
    container_path: str
    read_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesystemMount:
    """A file system that the runtime mounts for the container; the device plugin API has no such thing, CDI has."""

    source: str
    container_path: str
    type: str  # e.g. efivarfs
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CdiDevice:
    """A device of the Container Device Interface: one file in the CDI directory defines it."""

    kind: str  # vendor/class, e.g. intel.cdi.k8s.io/dsa
    name: str
    nodes: tuple[DeviceNode, ...] = ()
    mounts: tuple[Mount, ...] = ()
    filesystems: tuple[FilesystemMount, ...] = ()

    @property
    def qualified_name(self) -> str:
        return f"{self.kind}={self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One id of a resource. Several ids may name the same hardware (shared devices)."""

    id: str  # unique within its resource; a function of the hardware's identity alone
    nodes: tuple[DeviceNode, ...] = ()
    mounts: tuple[Mount, ...] = ()
    envs: Mapping[str, str] = field(default_factory=dict, hash=False)
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    numa_nodes: tuple[int, ...] = ()  # empty: the platform names no node
    cdi: CdiDevice | None = None
    health: Health = Health.HEALTHY
    reason: str = ""  # why it is unhealthy, or why its health is not known, for people
    conditions: tuple[str, ...] = ()  # the same in words that do not change, for metrics, e.g. "temperature-memory"
    hardware: str = ""  # the piece of hardware behind the id, e.g. its PCI address; ids that share it are alike


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something a scan met and worked around. It costs only its subject."""

    subject: str  # what it is about: a device's name or a path
    text: str
    rejected: bool = False  # the subject is not offered because of it
    expected: bool = False  # an ordinary sight, such as another vendor's card: of interest to `discover` only


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """Everything a scan found: the devices of each device type (`wq-user-shared` of `dsa.intel.com/wq-user-shared`)."""

    devices: Mapping[str, Sequence[Device]]
    problems: tuple[Problem, ...] = ()
    # Why devices of earlier scans are not among them, by device type and id, as far as there is more to say than that.
    losses: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    scan_again_in: float | None = None  # seconds after which something may look different without any event


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What one container is given for the ids it was granted."""

    nodes: tuple[DeviceNode, ...] = ()
    mounts: tuple[Mount, ...] = ()
    envs: Mapping[str, str] = field(default_factory=dict, hash=False)
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    cdi_names: tuple[str, ...] = ()  # qualified names
