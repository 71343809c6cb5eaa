"""What a container is given for the ids it was granted: a function of a snapshot and the ids."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from xpu_shared.device import Allocation, Device, Health
from xpu_shared.inventory import Snapshot


class AllocationError(Exception):
    """A grant that cannot be honoured; the text names resource and id."""


class InvalidRequestError(AllocationError):
    """No ids, or one id twice."""


class UnknownDeviceError(AllocationError):
    """An id that is not listed, perhaps from an earlier boot."""


class UnhealthyDeviceError(AllocationError):
    """A device that is listed but must not be used now."""


class ConflictError(AllocationError):
    """Two devices want different host paths at one container path."""


def grant(resource: str, snapshot: Snapshot, ids: Sequence[str], *, ids_only_count: bool = False) -> list[Device]:
    """The devices behind the ids, in the order of the request.

    Args:
        ids_only_count: they stand for no hardware, so that none, or one twice, does no harm.
    Raises:
        InvalidRequestError, UnknownDeviceError, UnhealthyDeviceError
    """
    if ids_only_count:
        return [_usable(resource, snapshot, id_) for id_ in dict.fromkeys(ids)]
    if not ids:
        raise InvalidRequestError(f"{resource}: the request names no device id")
    seen: set[str] = set()
    for id_ in ids:
        if id_ in seen:
            raise InvalidRequestError(f"{resource}: device id {shown(id_)} is requested twice")
        seen.add(id_)
    return [_usable(resource, snapshot, id_) for id_ in ids]


def _usable(resource: str, snapshot: Snapshot, id_: str) -> Device:
    device = snapshot.devices.get(id_)
    if device is None:
        raise UnknownDeviceError(
            f"{resource}: device {shown(id_)} does not exist on this node; "
            "if a pod was given it before a reboot or an update, delete the pod"
        )
    if device.health is not Health.HEALTHY:
        raise UnhealthyDeviceError(
            f"{resource}: device {shown(id_)} is unhealthy: {device.reason or 'no reason given'}"
        )
    return device


def shown(id_: str) -> str:
    """An id from outside, safe in an error text."""
    return repr(id_ if len(id_) <= 80 else id_[:80] + "…")


def compose(resource: str, devices: Sequence[Device], *, device_list: str = "both") -> Allocation:
    """One container's allocation. Of equal container paths the first stays; of equal keys the last.

    Args:
        device_list: how devices that have CDI are told of: `nodes`, `cdi` or `both`.
    Raises:
        ConflictError: a container path would stand for two host paths.
    """
    devices = [_told_of(device, device_list) for device in devices]
    envs: dict[str, str] = {}
    annotations: dict[str, str] = {}
    for device in devices:
        envs.update(device.envs)
        annotations.update(device.annotations)
    return Allocation(
        nodes=_distinct(resource, (node for device in devices for node in device.nodes)),
        mounts=_distinct(resource, (mount for device in devices for mount in device.mounts)),
        envs=envs,
        annotations=annotations,
        cdi_names=tuple(dict.fromkeys(device.cdi.qualified_name for device in devices if device.cdi)),
    )


def _told_of(device: Device, device_list: str) -> Device:
    """The device without what the runtime is to learn in the other way, or without its CDI name."""
    cdi = device.cdi
    if cdi is None or device_list == "both":
        return device
    if device_list == "nodes":
        # a file system can only be mounted through CDI, so what has one keeps its name
        return device if cdi.filesystems else replace(device, cdi=None)
    known = {node.container_path for node in cdi.nodes} | {mount.container_path for mount in cdi.mounts}
    return replace(
        device,
        nodes=tuple(node for node in device.nodes if node.container_path not in known),
        mounts=tuple(mount for mount in device.mounts if mount.container_path not in known),
    )


class _Placed(Protocol):
    @property
    def host_path(self) -> str: ...
    @property
    def container_path(self) -> str: ...


T = TypeVar("T", bound=_Placed)


def _distinct(resource: str, items: Iterable[T]) -> tuple[T, ...]:
    placed: dict[str, T] = {}
    for item in items:
        first = placed.setdefault(item.container_path, item)
        if first.host_path != item.host_path:
            raise ConflictError(
                f"{resource}: {item.container_path} would be both {first.host_path} and {item.host_path} on the host"
            )
    return tuple(placed.values())


def preference_problem(available: Sequence[str], must_include: Sequence[str], size: int) -> str | None:
    """Why no preference can be given, None when one is possible. All ids are opaque and distinct."""
    if size <= 0:
        return f"allocation size {size} is not positive"
    if size > len(available):
        return f"allocation size {size} is larger than the {len(available)} available devices"
    if len(must_include) > size:
        return f"{len(must_include)} devices must be included in an allocation of {size}"
    missing = set(must_include) - set(available)
    if missing:
        return f"device {shown(min(missing))} must be included but is not available"
    return None


def answers(chosen: Sequence[str], available: Sequence[str], must_include: Sequence[str], size: int) -> bool:
    """Whether a plugin's preference is one: `size` distinct available ids with `must_include` among them."""
    picked = set(chosen)
    return len(chosen) == len(picked) == size and picked <= set(available) and picked >= set(must_include)
