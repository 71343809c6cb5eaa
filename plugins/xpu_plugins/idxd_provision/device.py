"""One idxd device as sysfs shows it: a value, read once, on which everything is decided."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from xpu_shared.idxd.accelerator import DSA, IAA, Accelerator
from xpu_shared.idxd.tree import BUS
from xpu_shared.provisioning.sysfs import Sysfs

KINDS: Mapping[str, Accelerator] = {"dsa": DSA, "iaa": IAA}  # by their names in files and environment variables
DRIVERS = "bus/dsa/drivers"
DEVICE = re.compile(r"(?P<kind>dsa|iax)(?P<number>0|[1-9][0-9]{0,5})")
INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)|0x[0-9a-f]+")

# What may be written, in the order in which it is. Whatever else a directory has is only read.
OF_DEVICE = ("read_buffer_limit", "event_log_size")
OF_GROUP = (
    "read_buffers_reserved",
    "use_read_buffer_limit",
    "read_buffers_allowed",
    "traffic_class_a",
    "traffic_class_b",
    "desc_progress_limit",
    "batch_progress_limit",
)
OF_QUEUE = (
    "group_id",
    "mode",
    "type",
    "size",
    "priority",
    "block_on_fault",
    "ats_disable",
    "prs_disable",
    "max_transfer_size",
    "max_batch_size",
    "op_config",
    "driver_name",
    "name",
    "threshold",
)
OF_ENGINE = ("group_id",)
# What older kernels call these.
TOKENS: Mapping[str, str] = {
    "max_read_buffers": "max_tokens",
    "read_buffer_limit": "token_limit",
    "read_buffers_reserved": "tokens_reserved",
    "use_read_buffer_limit": "use_token_limit",
    "read_buffers_allowed": "tokens_allowed",
}
LIMITS = (
    "state",
    "clients",
    "max_groups",
    "max_engines",
    "max_work_queues",
    "max_work_queues_size",
    "max_batch_size",
    "max_transfer_size",
    "max_read_buffers",
    "version",
    "op_cap",
    "configurable",
    "pasid_enabled",
)

Attributes = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    name: str  # dsa11
    own: Attributes
    groups: Mapping[int, Attributes]
    queues: Mapping[int, Attributes]
    engines: Mapping[int, Attributes]
    drivers: Mapping[int, str]  # of queues: the one that each is bound to, as far as sysfs says
    tokens: bool = False  # whether its kernel calls read buffers tokens

    @property
    def kind(self) -> str:
        return self.name.rstrip("0123456789")

    @property
    def number(self) -> int:
        return int(self.name.removeprefix(self.kind))

    @property
    def configurable(self) -> bool:
        return self.own.get("configurable", "1") != "0"

    @property
    def enabled(self) -> bool:
        return self.own.get("state") == "enabled"

    @property
    def clients(self) -> int:
        """Open handles of its queues."""
        of_queues = sum(max(integer(queue.get("clients")) or 0, 0) for queue in self.queues.values())
        return max(of_queues, integer(self.own.get("clients")) or 0)

    def limit(self, attribute: str) -> int | None:
        return integer(self.own.get(attribute))

    def directories(self) -> list[tuple[str, Attributes]]:
        """Names and attributes of it and all that is in it, in the order in which they are written."""
        return [
            (self.name, self.own),
            *((f"group{self.number}.{number}", group) for number, group in self.groups.items()),
            *((self.queue(number), queue) for number, queue in self.queues.items()),
            *((f"engine{self.number}.{number}", engine) for number, engine in self.engines.items()),
        ]

    def attribute(self, directory: str, key: str) -> str:
        """The path of an attribute in one of the directories."""
        return f"{BUS}/{directory}/{TOKENS.get(key, key) if self.tokens else key}"

    def queue(self, number: int) -> str:
        return f"wq{self.number}.{number}"


def integer(text: str | None) -> int | None:
    return int(text, base=0) if text is not None and INTEGER.fullmatch(text) else None


def device_names(sysfs: Sysfs, kind: str) -> list[str]:
    """The devices of a kind, dsa or iax, by number; none where the driver is not loaded."""
    try:
        entries = sysfs.names(BUS)
    except FileNotFoundError:
        return []
    found = [match for entry in entries if (match := DEVICE.fullmatch(entry)) and match["kind"] == kind]
    return [match[0] for match in sorted(found, key=lambda match: int(match["number"]))]


def read_device(sysfs: Sysfs, name: str) -> Device:
    """Read a device; OSError when it has gone, or its state cannot be read."""
    number = name.lstrip("dsaix")
    inside: dict[str, dict[int, str]] = {"group": {}, "wq": {}, "engine": {}}
    entry = re.compile(rf"(group|wq|engine){number}\.(0|[1-9][0-9]{{0,5}})")
    for found in sysfs.names(f"{BUS}/{name}"):
        if match := entry.fullmatch(found):
            inside[match[1]][int(match[2])] = found
    place = f"{BUS}/{name}"
    sysfs.read(f"{place}/state")  # of a device that has gone nothing is told at all
    tokens = sysfs.exists(f"{place}/max_tokens") and not sysfs.exists(f"{place}/max_read_buffers")
    return Device(
        name=name,
        own=_attributes(sysfs, place, (*LIMITS, *OF_DEVICE), tokens=tokens),
        groups=_all(sysfs, place, inside["group"], OF_GROUP, tokens=tokens),
        queues=_all(sysfs, place, inside["wq"], ("state", "clients", *OF_QUEUE)),
        engines=_all(sysfs, place, inside["engine"], OF_ENGINE),
        drivers=_drivers(sysfs, place, inside["wq"]),
        tokens=tokens,
    )


def _all(
    sysfs: Sysfs, place: str, entries: Mapping[int, str], names: tuple[str, ...], *, tokens: bool = False
) -> dict[int, Attributes]:
    return {
        number: _attributes(sysfs, f"{place}/{entry}", names, tokens=tokens)
        for number, entry in sorted(entries.items())
    }


def _attributes(sysfs: Sysfs, directory: str, names: tuple[str, ...], *, tokens: bool = False) -> Attributes:
    """Those that are there and can be read; parts and kernels differ in what they have."""
    attributes = {}
    for name in names:
        try:
            attributes[name] = sysfs.read(f"{directory}/{TOKENS.get(name, name) if tokens else name}")
        except OSError:
            continue
    return attributes


def _drivers(sysfs: Sysfs, place: str, entries: Mapping[int, str]) -> dict[int, str]:
    drivers = {}
    for number, entry in entries.items():
        try:
            drivers[number] = sysfs.target(f"{place}/{entry}/driver")
        except OSError:
            continue
    return drivers
