"""From a device and a wish to writes, in the order that the kernel wants; and the way back. Functions of values.

Attributes can be written only while the device is disabled, and disabling a configurable one sets it back. Of a
device that is disabled already, queues and engines that are not as wished are set back first, or the sum of sizes
might not allow what is wished.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from xpu_plugins.idxd_provision.device import (
    DRIVERS,
    OF_DEVICE,
    OF_ENGINE,
    OF_GROUP,
    OF_QUEUE,
    Attributes,
    Device,
    read_device,
)
from xpu_plugins.idxd_provision.rules import Wish
from xpu_shared.idxd.tree import BUS
from xpu_shared.provisioning.plan import Check, Write, attribute, same
from xpu_shared.provisioning.sysfs import Sysfs

PATIENCE = 5.0  # seconds for a state to change
TEXTS = frozenset({"mode", "type", "name", "driver_name", "op_config"})  # the others are numbers
WITHOUT_USE = {"group_id": "-1", "size": "0"}  # in this order: a kernel makes 16 of size 0 in a group
TRAFFIC_CLASSES = frozenset({"traffic_class_a", "traffic_class_b"})
ONE_TRAFFIC_CLASS = 0x2FF  # device versions up to this one have traffic class 1, whatever is written
# Writing what is there already is refused by some parts and kernels.
NOT_EVERYWHERE = ("ats_disable", "prs_disable", "max_transfer_size", "max_batch_size", "op_config")
OF_UNUSED = tuple(key for key in OF_QUEUE if key not in ("type", "driver_name", "name", "threshold"))
NAMES = ("type", "driver_name", "name")  # what can be chosen where firmware has fixed the layout


@dataclass(frozen=True, slots=True)
class Difference:
    name: str  # wq4.0
    key: str
    present: str
    wished: str

    def __str__(self) -> str:
        return f"{self.name} {self.key} {self.present or 'nothing'} → {self.wished or 'nothing'}"


def differences(device: Device, wish: Wish) -> list[Difference]:
    """What is not as wished; nothing is told twice."""
    found = []
    if wish.enabled and not device.enabled:
        found.append(Difference(device.name, "state", device.own.get("state", ""), "enabled"))
    found += _unlike(device.name, device.own, wish.own)
    for number, group in wish.groups.items():
        found += _unlike(f"group{device.number}.{number}", device.groups[number], group)
    for number, queue in device.queues.items():
        found += _queue(device, number, queue, wish)
    for number, engine in device.engines.items():
        default = {"group_id": "-1"} if device.configurable else {}
        found += _unlike(f"engine{device.number}.{number}", engine, wish.engines.get(number, default))
    return found


def _unlike(name: str, present: Attributes, wished: Attributes) -> list[Difference]:
    return [
        Difference(name, key, present.get(key, ""), text)
        for key, text in wished.items()
        if not _is(key, present.get(key), text)
    ]


def _is(key: str, present: str | None, wished: str) -> bool:
    if present is None:
        return False
    return present.strip() == wished.strip() if key in TEXTS else same(present, wished)


def _queue(device: Device, number: int, present: Attributes, wish: Wish) -> list[Difference]:
    name, wished = device.queue(number), wish.queues.get(number)
    if wished is None:
        enabled = present.get("state") == "enabled"
        found = [Difference(name, "state", "enabled", "disabled")] if enabled else []
        return found + (_unlike(name, present, WITHOUT_USE) if device.configurable else [])
    found = _unlike(name, present, wished)
    driver = wish.drivers.get(number)
    if driver is None:
        return found
    if present.get("state") != "enabled":
        return [*found, Difference(name, "state", present.get("state", ""), "enabled")]
    bound = device.drivers.get(number, driver)  # a tree may not say it
    return found + ([Difference(name, "driver", bound, driver)] if bound != driver else [])


def changing(device: Device, wish: Wish, device_driver: str) -> list[Write]:
    """The writes that make the device what is wished; none when it is.

    Args:
        device_driver: the driver of devices on the bus, `idxd`, on old kernels `dsa`.
    """
    if not differences(device, wish):
        return []
    disabled = list(disabling(device))
    return [*disabled, *configuring(device, wish, set_back=bool(disabled)), *enabling(device, wish, device_driver)]


def disabling(device: Device) -> Iterator[Write]:
    for number, queue in device.queues.items():
        if queue.get("state", "disabled") != "disabled":
            yield _unbind(device.queue(number), queue["state"])
    if device.own.get("state", "disabled") != "disabled":
        yield _unbind(device.name, device.own["state"])


def _unbind(name: str, state: str) -> Write:
    check = Check(f"{BUS}/{name}/state", "disabled", PATIENCE)
    return Write(path=f"{BUS}/{name}/driver/unbind", value=name, before=state, checks=(check,))


def configuring(device: Device, wish: Wish, *, set_back: bool) -> Iterator[Write]:
    """The writes to attributes, for a device that is disabled.

    Args:
        set_back: it has been disabled since it was read, and a configurable one is not any more as it was.
    """
    known = not (set_back and device.configurable)
    names_known = not set_back  # type and name of a queue go when it is disabled, also where the layout is fixed
    if not device.configurable:
        wish = replace(wish, own={}, groups={}, engines={}, queues=_only(wish.queues, NAMES))
    elif known:
        yield from _leftovers(device, wish)
    yield from _written(device, device.name, device.own, wish.own, known=known)
    for number, group in wish.groups.items():
        present = device.groups[number]
        written = _written_classes(device, present, group) if set_back else group
        yield from _written(device, f"group{device.number}.{number}", present, written, known=known)
    for number, queue in wish.queues.items():
        present = device.queues[number]
        if "type" not in queue:  # one without use, on the way back
            yield from _written(device, device.queue(number), present, queue, known=known)
        elif not names_known or _unlike(device.queue(number), present, queue):
            left_out = {key for key in NOT_EVERYWHERE if known and _is(key, present.get(key), queue.get(key, ""))}
            wanted = {key: text for key, text in queue.items() if key not in left_out}
            yield from _written(device, device.queue(number), present, wanted, known=False)
    for number, engine in wish.engines.items():
        yield from _written(device, f"engine{device.number}.{number}", device.engines[number], engine, known=known)


def _leftovers(device: Device, wish: Wish) -> Iterator[Write]:
    """What keeps a size, a group or reserved buffers although it is not, or not so, wished."""
    for number, queue in device.queues.items():
        wished = wish.queues.get(number, WITHOUT_USE)
        if any(not _is(key, queue.get(key), text) for key, text in wished.items()):
            yield from _written(device, device.queue(number), queue, WITHOUT_USE, known=True)
    for number, engine in device.engines.items():
        if not _is("group_id", engine.get("group_id"), wish.engines.get(number, WITHOUT_USE)["group_id"]):
            nowhere = {"group_id": WITHOUT_USE["group_id"]}
            yield from _written(device, f"engine{device.number}.{number}", engine, nowhere, known=True)
    for number, group in wish.groups.items():
        key, present = "read_buffers_reserved", device.groups[number]
        if key in group and not _is(key, present.get(key), group[key]):
            yield from _written(device, f"group{device.number}.{number}", present, {key: "0"}, known=True)


def _written(device: Device, name: str, present: Attributes, wished: Attributes, *, known: bool) -> Iterator[Write]:
    for key, text in wished.items():
        if not known or not _is(key, present.get(key), text):
            yield attribute(device.attribute(name, key), text, present.get(key, ""))


def _written_classes(device: Device, present: Attributes, wished: Attributes) -> Attributes:
    """Without the traffic classes that are as wished and stay so: on most parts the kernel refuses to write them."""
    if (device.limit("version") or 0) > ONE_TRAFFIC_CLASS:
        return wished
    return {
        key: text for key, text in wished.items() if key not in TRAFFIC_CLASSES or not _is(key, present.get(key), text)
    }


def _only(queues: Mapping[int, Attributes], keys: Sequence[str]) -> Mapping[int, Attributes]:
    return {number: {key: queue[key] for key in keys if key in queue} for number, queue in queues.items()}


def enabling(device: Device, wish: Wish, device_driver: str) -> Iterator[Write]:
    if not wish.enabled:
        return
    yield _bind(device.name, device_driver, device.own.get("state", ""))
    for number, driver in wish.drivers.items():
        yield _bind(device.queue(number), driver, device.queues[number].get("state", ""))


def _bind(name: str, driver: str, state: str) -> Write:
    check = Check(f"{BUS}/{name}/state", "enabled", PATIENCE)
    return Write(path=f"{DRIVERS}/{driver}/bind", value=name, before=state, checks=(check,))


def as_it_was(before: Device) -> Wish:
    """What a device was, as a wish. A queue without size in no group has no name, type or driver to be kept."""
    unused = {number for number, queue in before.queues.items() if not _unlike("", queue, WITHOUT_USE)}
    used = {number: queue for number, queue in before.queues.items() if number not in unused}
    return Wish(
        own=_some(before.own, OF_DEVICE),
        groups={number: _some(group, OF_GROUP) for number, group in before.groups.items()},
        queues={
            number: _unused(before, queue) if number in unused else _of_queue(queue)
            for number, queue in before.queues.items()
        },
        engines={number: _some(engine, OF_ENGINE) for number, engine in before.engines.items()},
        drivers={
            number: before.drivers.get(number) or queue.get("driver_name") or queue.get("type", "user")
            for number, queue in used.items()
            if queue.get("state") == "enabled"
        },
        enabled=before.enabled,
    )


def _some(attributes: Attributes, keys: Sequence[str]) -> Attributes:
    return {key: attributes[key] for key in keys if key in attributes}


def _unused(device: Device, queue: Attributes) -> Attributes:
    """Without shared virtual memory a new queue reads as shared, and cannot be made so."""
    kept = _some(queue, OF_UNUSED)
    return kept if device.own.get("pasid_enabled") != "0" else {key: kept[key] for key in kept if key != "mode"}


def _of_queue(queue: Attributes) -> Attributes:
    """A threshold of 0 cannot be written: a queue has it when it is dedicated."""
    kept = _some(queue, OF_QUEUE)
    return {key: text for key, text in kept.items() if key != "threshold" or not same(text, "0")}


def way_back(before: Device, device_driver: str) -> Callable[[Sysfs], Iterator[Write]]:
    """The writes that make a device again what it was, from wherever it is."""

    def undo(sysfs: Sysfs) -> Iterator[Write]:
        wish = as_it_was(before)
        now = read_device(sysfs, before.name)
        if not differences(now, wish) and now.enabled == before.enabled:
            return
        yield from disabling(now)
        now = read_device(sysfs, before.name)  # what the driver has left of it
        yield from configuring(now, wish, set_back=False)
        yield from enabling(now, wish, device_driver)

    return undo
