"""Which of the free slots a container should get: those of few devices, or of many.

No queue gives a second slot while another one is free. Every answer begins with the ids that must be included and
depends on the ids, the size and the devices' NUMA nodes alone. An id that is no slot of ours is a queue of its own.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

SLOT = re.compile(r"wq-[a-z]+-[a-z]+-wq(?P<device>[0-9]+)\.(?P<queue>[0-9]+)-(?P<slot>[0-9]+)")

NumaNodes = Mapping[int, Sequence[int]]  # of the devices, by their number


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    device: int
    queue: int
    number: int
    id: str

    @property
    def key(self) -> tuple[int, int, str]:
        """The queue it is a slot of."""
        return (self.device, self.queue, "" if self.device >= 0 else self.id)


Picker = Callable[[Sequence[Slot], int, Counter[int], NumaNodes], Sequence[Slot]]


def choose(
    policy: str, available: Iterable[str], must_include: Iterable[str], size: int, *, numa_nodes: NumaNodes
) -> tuple[str, ...]:
    """Choose `size` ids of `available`, `must_include` among them.

    Args:
        policy: `pack` for few devices and if possible one NUMA node, `spread` for many devices.
    """
    pick = PICKERS[policy]
    chosen = sorted(_slot(id_) for id_ in set(must_include))
    free = sorted(_slot(id_) for id_ in set(available) - {slot.id for slot in chosen})
    while len(chosen) < size and free:
        taken = Counter(slot.key for slot in chosen)
        fewest = min(taken[slot.key] for slot in free)
        candidates = {slot.key: slot for slot in reversed(free) if taken[slot.key] == fewest}
        used = Counter(slot.device for slot in chosen)
        picked = set(pick(sorted(candidates.values()), size - len(chosen), used, numa_nodes))
        chosen += sorted(picked)
        free = [slot for slot in free if slot not in picked]
    return tuple(slot.id for slot in chosen[:size])


def pack(candidates: Sequence[Slot], size: int, used: Counter[int], numa_nodes: NumaNodes) -> Sequence[Slot]:
    """Up to `size` slots, of one NUMA node if it has enough, of as few devices as possible besides the used ones."""
    nodes = {node for slot in candidates for node in numa_nodes.get(slot.device, ())}
    plans = [_fewest_devices(candidates, size, used)]
    for node in sorted(nodes):
        near = [slot for slot in candidates if node in numa_nodes.get(slot.device, ())]
        begun = all(node in numa_nodes.get(device, ()) for device in used)
        if len(near) >= size and begun:
            plans.append(_fewest_devices(near, size, used))

    def worth(plan: Sequence[Slot]) -> tuple[bool, int]:
        devices = {slot.device for slot in plan} | used.keys()
        one_node = any(all(node in numa_nodes.get(device, ()) for device in devices) for node in nodes)
        return (not one_node, len(devices))

    return min(plans, key=worth)


def _fewest_devices(candidates: Sequence[Slot], size: int, used: Counter[int]) -> Sequence[Slot]:
    """Used devices first, then those with the most candidates; the last one is the smallest that is enough."""
    by_device: dict[int, list[Slot]] = {}
    for slot in candidates:
        by_device.setdefault(slot.device, []).append(slot)
    picked: list[Slot] = []
    while by_device and len(picked) < size:
        left = size - len(picked)
        enough = [device for device, slots in by_device.items() if len(slots) >= left]
        begun = [device for device in by_device if used[device]]
        if enough and not set(begun) - set(enough):
            device = min(enough, key=lambda device: (not used[device], len(by_device[device]), device))
        elif begun:
            device = min(begun)
        else:
            device = max(by_device, key=lambda device: (len(by_device[device]), -device))
        picked += by_device.pop(device)[:left]
    return picked


def spread(candidates: Sequence[Slot], size: int, used: Counter[int], _: NumaNodes) -> Sequence[Slot]:
    """Up to `size` slots, each of the device that so far gives the fewest."""
    given = Counter(used)
    left = list(candidates)
    picked = []
    for _turn in range(min(size, len(left))):
        slot = min(left, key=lambda slot: (given[slot.device], slot))
        left.remove(slot)
        given[slot.device] += 1
        picked.append(slot)
    return picked


PICKERS: dict[str, Picker] = {"pack": pack, "spread": spread}


def _slot(id_: str) -> Slot:
    match = SLOT.fullmatch(id_)
    if match is None:
        return Slot(device=-1, queue=-1, number=0, id=id_)
    return Slot(device=int(match["device"]), queue=int(match["queue"]), number=int(match["slot"]), id=id_)
