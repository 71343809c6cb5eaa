"""What an idxd device can be: every rule that a layout has to keep, checked before anything is written.

The rules are the kernel's and the device's; breaking one costs the device, not the others. The first one that is
broken is told, with file, device, place in the file, value and what is allowed.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xpu_plugins.idxd_provision.device import Attributes, Device, integer
from xpu_plugins.idxd_provision.entry import Entry
from xpu_shared.provisioning.plan import RefusedError

LONGEST_NAME = 1024  # bytes
DRIVER_OF_TYPE = {"user": "user", "kernel": "dmaengine"}
DRIVER_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # becomes part of a path
BIT_LIST = re.compile(r"[0-9a-f]{1,8}(?:,[0-9a-f]{1,8}){0,31}")
BUFFERS = ("read_buffers_reserved", "use_read_buffer_limit", "read_buffers_allowed")
TRAFFIC_CLASSES = ("traffic_class_a", "traffic_class_b")
FIRST_WITH_TRAFFIC_CLASSES = 0x200  # the version of such devices
PROGRESS = ("desc_progress_limit", "batch_progress_limit")
EVENT_LOG = (64, 65535)  # entries
SVA_HINT = (
    "it needs shared virtual memory: VT-d and PASID in the BIOS, intel_iommu=on,sm_on on the kernel's command line"
)
NEEDED = ("group_id", "mode", "type", "size", "priority", "name")
FIXED_ON_FIXED = ("group_id", "mode", "size", "priority", "threshold")  # of a device that is not configurable


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a device shall be: attributes to be written, in the order in which they are.

    Attributes:
        drivers: of the queues that shall be enabled, the driver that each is bound to.
        enabled: whether the device itself shall be.
        notes: what there is to say although nothing is wrong.
    """

    own: Attributes
    groups: Mapping[int, Attributes]
    queues: Mapping[int, Attributes]
    engines: Mapping[int, Attributes]
    drivers: Mapping[int, str]
    enabled: bool = True
    notes: tuple[str, ...] = ()


def wish(device: Device, entry: Mapping[str, Any], file: str) -> Wish:
    """What an entry of a layout wishes of a device; RefusedError when it cannot be that."""
    reading = Reading(device=device, file=file)
    top = Entry(values=entry, path="", device=device, subject=reading.subject, notes=reading.notes)
    own = reading.own(top)
    queues: dict[int, Attributes] = {}
    engines: dict[int, Attributes] = {}
    groups: dict[int, Attributes] = {}
    places: dict[int, str] = {}
    for group_node in top.children("groups"):
        number = group_node.number_of("group", device.limit("max_groups"), device.groups, groups)
        groups[number] = reading.group(group_node, own)
        for node in group_node.children("grouped_workqueues"):
            queue = node.number_of("wq", device.limit("max_work_queues"), device.queues, queues)
            queues[queue], places[queue] = reading.queue(node), node.path.rpartition("[")[0]
        for node in group_node.children("grouped_engines"):
            engine = node.number_of("engine", device.limit("max_engines"), device.engines, engines)
            engines[engine] = {"group_id": str(node.integer("group_id", -1, reading.most_groups - 1, -1))}
    reading.check_sizes(queues, places)
    reading.check_groups(queues, engines)
    if not queues:
        raise top.refusal("groups", "at least one queue, or the device cannot be enabled", None)
    reading.check_buffers(groups, engines)
    if not device.configurable:
        reading.check_fixed(queues, engines)
    drivers = {number: reading.driver(queue) for number, queue in queues.items()}
    if "driver_name" not in _any(device.queues):
        queues = {number: _without(queue, "driver_name") for number, queue in queues.items()}
    return Wish(
        own=own,
        groups={number: group for number, group in sorted(groups.items()) if group},
        queues=dict(sorted(queues.items())),
        engines=dict(sorted(engines.items())),
        drivers=dict(sorted(drivers.items())),
        notes=tuple(dict.fromkeys(reading.notes)),
    )


@dataclass(slots=True)
class Reading:
    """One device's entry while it is read."""

    device: Device
    file: str
    notes: list[str] = field(default_factory=list)

    @property
    def subject(self) -> str:
        return f"{self.file}: {self.device.name}"

    @property
    def most_groups(self) -> int:
        return self.device.limit("max_groups") or len(self.device.groups)

    @property
    def most_buffers(self) -> int:
        return self.device.limit("max_read_buffers") or 0

    def own(self, node: Entry) -> Attributes:
        limits: Mapping[str, tuple[int, int]] = {
            "read_buffer_limit": (0, self.most_buffers),
            "event_log_size": EVENT_LOG,
        }
        return self._numbers(node, limits, self.device.own)

    def group(self, node: Entry, own: Attributes) -> Attributes:
        present = _any(self.device.groups)
        limits = {
            "read_buffers_reserved": (0, self.most_buffers),
            "use_read_buffer_limit": (0, 1),
            "read_buffers_allowed": (0, self.most_buffers),
            **dict.fromkeys(TRAFFIC_CLASSES, (-1, 7)),
            **dict.fromkeys(PROGRESS, (0, 3)),
        }
        found = dict(self._numbers(node, limits, present))
        if not integer(own.get("read_buffer_limit", self.device.own.get("read_buffer_limit"))):
            found.pop("use_read_buffer_limit", None)
        old = (self.device.limit("version") or 0) < FIRST_WITH_TRAFFIC_CLASSES
        return {key: text for key, text in found.items() if not (key in TRAFFIC_CLASSES and (old or text == "-1"))}

    def _numbers(self, node: Entry, limits: Mapping[str, tuple[int, int]], present: Attributes) -> Attributes:
        """The keys that this device has attributes for; the others are ignored, as accel-config does."""
        numbers = {}
        for key, (minimum, maximum) in limits.items():
            if node.get(key) is None:
                continue
            if key not in present:
                self.notes.append(f"{node.at(key)}: ignored, {self.device.name} has no such attribute")
                continue
            numbers[key] = str(node.integer(key, minimum, maximum))
        return numbers

    def queue(self, node: Entry) -> Attributes:
        for key in NEEDED:
            if node.get(key) is None:
                raise node.refusal(key, "a value", None)
        mode = node.word("mode", ("dedicated", "shared"))
        type_ = node.word("type", ("user", "kernel"))
        size = node.integer("size", 1, self.device.limit("max_work_queues_size") or 0)
        if self.device.own.get("pasid_enabled") == "0" and (type_ == "user" or mode == "shared"):
            what = f"a queue of type {type_} and mode {mode} while pasid_enabled is 0"
            raise RefusedError(f"{self.subject}: {node.path}: {what}: {SVA_HINT}")
        attributes: dict[str, str | None] = {
            "group_id": str(node.integer("group_id", 0, self.most_groups - 1)),
            "mode": mode,
            "type": type_,
            "size": str(size),
            "priority": str(node.integer("priority", 1, 15)),
            "block_on_fault": self._flag(node, "block_on_fault"),
            "ats_disable": self._flag(node, "ats_disable"),
            "prs_disable": self._flag(node, "prs_disable"),
            "max_transfer_size": self._power_of_two(node, "max_transfer_size"),
            "max_batch_size": self._power_of_two(node, "max_batch_size"),
            "op_config": self._operations(node),
            "driver_name": self._driver_name(node, type_),
            "name": self._name(node),
            "threshold": str(node.integer("threshold", 1, size)) if mode == "shared" else None,
        }
        present = _any(self.device.queues)
        always = {"driver_name", "threshold"}
        return {key: text for key, text in attributes.items() if text is not None and (key in present or key in always)}

    def _flag(self, node: Entry, key: str) -> str | None:
        number = node.optional(key, 0, 1)
        return None if number is None else str(number)

    def _power_of_two(self, node: Entry, key: str) -> str | None:
        if node.get(key) is None or key not in _any(self.device.queues):
            return None
        number = node.integer(key, 1, self.device.limit(key) or 2**63)
        rounded = 1 << (number - 1).bit_length()
        if rounded != number:
            self.notes.append(f"{node.at(key)}: {number} is rounded up to {rounded}, a power of two")
        return str(rounded)

    def _operations(self, node: Entry) -> str | None:
        """A bit list in the words of the device's own, of whose bits it may have some."""
        value = node.get("op_config")
        if value is None or "op_config" not in _any(self.device.queues):
            return None
        able = self.device.own.get("op_cap", "")
        if not isinstance(value, str) or not BIT_LIST.fullmatch(value.strip().lower()):
            raise node.refusal("op_config", "a bit list such as 00000001,003f03ff", value)
        wished = _bits(value.strip().lower())
        if BIT_LIST.fullmatch(able):
            if wished & ~_bits(able):
                raise node.refusal("op_config", f"bits of the device's op_cap {able}", value)
            words = able.count(",") + 1
            return ",".join(f"{wished >> 32 * word & 0xFFFFFFFF:08x}" for word in reversed(range(words)))
        return value.strip().lower()

    def _driver_name(self, node: Entry, type_: str) -> str:
        value = node.get("driver_name")
        if value is None:
            return DRIVER_OF_TYPE[type_]
        if not isinstance(value, str) or not DRIVER_NAME.fullmatch(value):
            raise node.refusal("driver_name", "a driver such as user, dmaengine or crypto", value)
        return value

    def _name(self, node: Entry) -> str:
        value = node.get("name")
        name = value.replace("X", str(self.device.number)) if isinstance(value, str) else ""
        try:
            size = len(name.encode())
        except UnicodeEncodeError:
            size = 0
        if not 0 < size <= LONGEST_NAME or name != name.strip() or not _one_line(name):
            raise node.refusal("name", f"one line of 1 to {LONGEST_NAME} bytes without spaces around it", value)
        return name

    def driver(self, queue: Attributes) -> str:
        """The driver that a queue is bound to: the kernel's own choice where it cannot be named."""
        return queue["driver_name"] if "driver_name" in _any(self.device.queues) else DRIVER_OF_TYPE[queue["type"]]

    def check_sizes(self, queues: Mapping[int, Attributes], places: Mapping[int, str]) -> None:
        total, most = sum(int(queue["size"]) for queue in queues.values()), self.device.limit("max_work_queues_size")
        if most is not None and total > most:
            place = next(iter(places.values())) if len(set(places.values())) == 1 else "groups"
            raise RefusedError(f"{self.subject}: {place}: sizes sum to {total}, device has {most}")

    def check_groups(self, queues: Mapping[int, Attributes], engines: Mapping[int, Attributes]) -> None:
        with_queues = {int(queue["group_id"]) for queue in queues.values()}
        with_engines = {int(engine["group_id"]) for engine in engines.values()} - {-1}
        for group in sorted(with_queues ^ with_engines):
            has, lacks = ("a queue", "engine") if group in with_queues else ("an engine", "queue")
            name = f"group{self.device.number}.{group}"
            raise RefusedError(f"{self.subject}: {name} has {has} but no {lacks}: expected both, by their group_id")

    def check_buffers(self, groups: Mapping[int, Attributes], engines: Mapping[int, Attributes]) -> None:
        """Read buffers are reserved from the device's, and a group may use what no other one has reserved."""
        key, allowed_key = "read_buffers_reserved", "read_buffers_allowed"
        kept = {} if self.device.enabled else self.device.groups  # an enabled one is set back before it is written
        reserved = {number: int(kept.get(number, {}).get(key, "0")) for number in self.device.groups}
        reserved |= {number: int(group[key]) for number, group in groups.items() if key in group}
        total = sum(reserved.values())
        if total > self.most_buffers and any(key in group for group in groups.values()):
            raise RefusedError(f"{self.subject}: groups: {key} sum to {total}, device has {self.most_buffers}")
        attached = Counter(int(engine["group_id"]) for engine in engines.values())
        for number, group in groups.items():
            if allowed_key not in group:
                continue
            least, most = 4 * attached[number], self.most_buffers - total + reserved[number]
            if not least <= int(group[allowed_key]) <= most:
                name = f"group{self.device.number}.{number}"
                text = f"expected {least} (4 for each engine) to {most} (not reserved by others)"
                raise RefusedError(f"{self.subject}: {name}: {allowed_key}: {text}, found {group[allowed_key]}")

    def check_fixed(self, queues: Mapping[int, Attributes], engines: Mapping[int, Attributes]) -> None:
        """Of a device whose layout firmware has fixed, only names and drivers can be chosen."""
        for number, wished in queues.items():
            present = self.device.queues[number]
            for key in FIXED_ON_FIXED:
                if key in wished and present.get(key) != wished[key]:
                    self._refuse_fixed(self.device.queue(number), key, present.get(key), wished[key])
        for number, wished in engines.items():
            present = self.device.engines[number]
            if present.get("group_id") != wished["group_id"]:
                name = f"engine{self.device.number}.{number}"
                self._refuse_fixed(name, "group_id", present.get("group_id"), wished["group_id"])

    def _refuse_fixed(self, name: str, key: str, present: str | None, wished: str) -> None:
        text = "the device's layout is fixed (configurable is 0)"
        raise RefusedError(f"{self.subject}: {name}: {key}: {text}: expected {present}, found {wished}")


def _any(entries: Mapping[int, Attributes]) -> Attributes:
    """All groups or queues of a device have the same attributes."""
    return next(iter(entries.values()), {})


def _without(attributes: Attributes, key: str) -> Attributes:
    return {name: text for name, text in attributes.items() if name != key}


def _bits(text: str) -> int:
    return int("".join(word.zfill(8) for word in text.split(",")), base=16)


def _one_line(text: str) -> bool:
    return not any(character in "\n\r\v\f\0\x1c\x1d\x1e\x85\u2028\u2029" for character in text)
