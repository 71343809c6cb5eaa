"""The only state a plugin has: per device type one immutable, versioned snapshot of its devices.

One writer, the plugin's loop; any number of readers. Publishing never waits for a reader: a listener is told that
something changed and looks for itself. A vanished device stays listed as Unhealthy for a while (a tombstone): the
kubelet reports an id that simply disappears as healthy.
"""

import heapq
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from xpu_shared.device import Device, Health

GONE = "the device is no longer there"
GONE_CONDITION = "gone"
NUMBER = re.compile(r"[0-9]+")
LONGEST_NUMBER = 63  # digits: an id is not longer
SORTED_AT_ONCE = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The devices of one type by id, in list order, tombstones included."""

    version: int = 0  # rises when what the kubelet is told changes: ids, health, NUMA nodes
    devices: Mapping[str, Device] = field(default_factory=dict)
    gone_since: Mapping[str, float] = field(default_factory=dict)  # id of each tombstone -> monotonic seconds


def merge(
    previous: Snapshot,
    found: Sequence[Device],
    *,
    retention: float,
    now: float,
    held: Collection[str] = (),
    losses: Mapping[str, str] = MappingProxyType({}),
) -> Snapshot:
    """The snapshot after a scan that found these devices.

    Args:
        found: devices with distinct ids.
        retention: seconds that a vanished device stays listed.
        now: monotonic seconds.
        held: ids that containers hold. They stay listed as long as they are held, also when this process never saw
            the device: it may have gone while no plugin ran.
        losses: why ids are not found, as far as it is known.
    """
    devices = {device.id: device for device in found}
    gone_since = {}
    for id_ in {*previous.devices, *held} - devices.keys():
        since = previous.gone_since.get(id_, now)
        if now - since < retention or id_ in held:
            last_known = previous.devices.get(id_, Device(id=id_))
            reason = losses.get(id_, last_known.reason if id_ in previous.gone_since else GONE)
            devices[id_] = replace(last_known, health=Health.UNHEALTHY, reason=reason, conditions=(GONE_CONDITION,))
            gone_since[id_] = since
    same = devices.keys() == previous.devices.keys()
    devices = {id_: devices[id_] for id_ in (previous.devices if same else _in_list_order(devices))}
    version = previous.version + (_told(devices) != _told(previous.devices) or previous.version == 0)
    return Snapshot(version=version, devices=devices, gone_since=gone_since)


def _in_list_order(ids: Iterable[str]) -> Iterator[str]:
    """Sorted in parts: one sort of 100,000 would hold all threads up for 80 ms."""
    unsorted = list(ids)
    starts = range(0, len(unsorted), SORTED_AT_ONCE)
    return heapq.merge(
        *(sorted(unsorted[start : start + SORTED_AT_ONCE], key=_list_order) for start in starts), key=_list_order
    )


def _list_order(id_: str) -> tuple[str, str]:
    """A sort key by which numbers count as such: `dlb9` comes before `dlb10`."""
    return NUMBER.sub(lambda number: number[0].zfill(LONGEST_NUMBER), id_), id_


def _told(devices: Mapping[str, Device]) -> list[tuple[str, Health, tuple[int, ...]]]:
    """What the kubelet is told of these devices."""
    return [(device.id, device.health, device.numa_nodes) for device in devices.values()]


def next_expiry(snapshot: Snapshot, *, retention: float, held: Collection[str] = ()) -> float | None:
    """When the snapshot's next tombstone runs out, in monotonic seconds; None when none will by itself.

    Args:
        held: ids that containers hold, whose tombstones do not run out.
    """
    oldest = min((since for id_, since in snapshot.gone_since.items() if id_ not in held), default=None)
    return None if oldest is None else oldest + retention


class Inventory:
    """The snapshots of one plugin, by device type. A type that was seen once stays."""

    def __init__(self) -> None:
        self._snapshots: dict[str, Snapshot] = {}
        self._listeners: dict[str, set[Callable[[], None]]] = {}

    @property
    def device_types(self) -> tuple[str, ...]:
        return tuple(self._snapshots)

    def snapshot(self, device_type: str) -> Snapshot:
        return self._snapshots.get(device_type, Snapshot())

    def publish(self, device_type: str, snapshot: Snapshot) -> None:
        changed = snapshot.version != self.snapshot(device_type).version
        self._snapshots[device_type] = snapshot
        if changed:
            for listener in tuple(self._listeners.get(device_type, ())):
                listener()

    @contextmanager
    def listening(self, device_type: str, listener: Callable[[], None]) -> Iterator[None]:
        """While inside, `listener` is called after each publication that changes what the kubelet is told."""
        listeners = self._listeners.setdefault(device_type, set())
        listeners.add(listener)
        try:
            yield
        finally:
            listeners.discard(listener)
