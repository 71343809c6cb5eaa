"""A layout file: accel-config's JSON, or the same tree in YAML. What is in it is not yet checked against a device."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpu_plugins.idxd_provision.device import TOKENS
from xpu_plugins.idxd_provision.lenient_json import MalformedJsonError, parse
from xpu_shared.program.flags import shown
from xpu_shared.provisioning.plan import LayoutError

LARGEST_FILE = 1024 * 1024  # bytes
DEV = re.compile(r"(?:dsa|iax)(?:X|0|[1-9][0-9]{0,5})")
OLD_KEYS = {old: new for new, old in TOKENS.items()}  # deprecated names that accel-config takes too
CHILDREN = {"groups": "groups", "grouped_workqueues": "queues", "grouped_engines": "engines"}
KEYS: Mapping[str, frozenset[str]] = {
    "devices": frozenset({"dev", "groups", "read_buffer_limit", "token_limit", "event_log_size"}),
    "groups": frozenset(
        {
            "dev",
            "grouped_workqueues",
            "grouped_engines",
            "read_buffers_reserved",
            "use_read_buffer_limit",
            "read_buffers_allowed",
            "tokens_reserved",
            "use_token_limit",
            "tokens_allowed",
            "traffic_class_a",
            "traffic_class_b",
            "desc_progress_limit",
            "batch_progress_limit",
        }
    ),
    "queues": frozenset(
        {
            "dev",
            "mode",
            "type",
            "size",
            "group_id",
            "priority",
            "block_on_fault",
            "threshold",
            "name",
            "driver_name",
            "op_config",
            "max_batch_size",
            "max_transfer_size",
            "ats_disable",
            "prs_disable",
        }
    ),
    "engines": frozenset({"dev", "group_id"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    file: str
    entries: Mapping[str, Mapping[str, Any]]  # by `dev`: dsaX for all devices, dsa4 for that one instead

    def entry(self, device: str) -> Mapping[str, Any] | None:
        """What is wished of a device; None: nothing."""
        kind = device.rstrip("0123456789")
        return self.entries.get(device, self.entries.get(f"{kind}X"))

    @property
    def kinds(self) -> frozenset[str]:
        """dsa, iax or both."""
        return frozenset(dev.rstrip("X0123456789") for dev in self.entries)


def read_layout(path: Path) -> Layout:
    """Read a file; LayoutError when it cannot be used for any device."""
    name = str(path) if str(path).isprintable() else shown(str(path))
    if path.suffix in (".yaml", ".yml"):
        from xpu_shared.program.yaml_file import YamlError, read  # noqa: PLC0415 - only YAML pays for YAML

        try:
            document = read(path)
        except YamlError as error:
            raise LayoutError(str(error)) from None
        return as_layout(document.value, name, known_only=True)
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise LayoutError(f"{name}: {error.strerror or error}") from None
    if len(data) > LARGEST_FILE:
        raise LayoutError(f"{name}: larger than {LARGEST_FILE} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise LayoutError(f"{name}: not UTF-8 at byte {error.start}") from None
    return json_layout(text, name)


def json_layout(text: str, name: str) -> Layout:
    """The layout that a JSON text is; LayoutError."""
    try:
        return as_layout(parse(text), name, known_only=False)
    except MalformedJsonError as error:
        raise LayoutError(f"{name}: not JSON: {error}") from None


def as_layout(value: Any, name: str, *, known_only: bool) -> Layout:
    """A parsed file as a layout, its shape checked; LayoutError.

    Args:
        known_only: refuse keys that mean nothing. accel-config ignores them in its JSON.
    """
    entries: dict[str, Mapping[str, Any]] = {}
    for number, entry in enumerate(_objects(value, name, "", "the file")):
        at = f"[{number}]"
        dev = entry.get("dev")
        if not isinstance(dev, str) or not DEV.fullmatch(dev):
            raise LayoutError(f"{name}: {at}.dev: expected dsaX, iaxX or a device such as dsa4, found {shown(dev)}")
        if dev in entries:
            raise LayoutError(f"{name}: {at}.dev: {dev} is given twice")
        _check_shape(entry, "devices", name, f"{dev}: ", "", known_only=known_only)
        entries[dev] = entry
    return Layout(file=name, entries=entries)


def _check_shape(entry: Mapping[str, Any], level: str, name: str, dev: str, at: str, *, known_only: bool) -> None:
    """Objects and arrays are where they belong, and no array is empty."""
    if known_only and (unknown := entry.keys() - KEYS[level]):
        raise LayoutError(f"{name}: {dev}{at}: unknown key {shown(min(unknown))}".replace(": : ", ": "))
    for old, new in OLD_KEYS.items():
        if old in entry and new in entry:
            raise LayoutError(
                f"{name}: {dev}{at}: {old} is the old name of {new}: expected one of them".replace(": : ", ": ")
            )
    for key, child_level in CHILDREN.items():
        if key not in KEYS[level] or entry.get(key) is None:
            continue
        place = f"{at}.{key}".lstrip(".")
        for number, child in enumerate(_objects(entry[key], name, dev, place)):
            below = f"{place}[{number}]"
            if not isinstance(child.get("dev"), str):
                raise LayoutError(f"{name}: {dev}{below}.dev: expected a name, found {shown(child.get('dev'))}")
            _check_shape(child, child_level, name, dev, below, known_only=known_only)


def _objects(value: Any, name: str, dev: str, place: str) -> list[Mapping[str, Any]]:
    if not isinstance(value, list):
        raise LayoutError(f"{name}: {dev}{place}: expected an array, found {shown(value)}")
    if not value:
        raise LayoutError(f"{name}: {dev}{place}: expected an array with something in it, found []")
    for number, entry in enumerate(value):
        if not isinstance(entry, dict):
            at = place if place != "the file" else ""
            raise LayoutError(f"{name}: {dev}{at}[{number}]: expected an object, found {shown(entry)}")
    return value
