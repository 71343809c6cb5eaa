"""The present state of devices as a layout file, which another node or a later run can be given."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from xpu_plugins.idxd_provision.device import (
    OF_DEVICE,
    OF_GROUP,
    OF_QUEUE,
    Attributes,
    Device,
    device_names,
    integer,
    read_device,
)
from xpu_plugins.idxd_provision.layout import as_layout
from xpu_plugins.idxd_provision.planning import TEXTS, differences
from xpu_plugins.idxd_provision.rules import FIRST_WITH_TRAFFIC_CLASSES, TRAFFIC_CLASSES, wish
from xpu_shared.program.logs import Log
from xpu_shared.provisioning.plan import LayoutError, RefusedError
from xpu_shared.provisioning.sysfs import Sysfs, reason

FILE = "the exported layout"

log = Log("idxd")


def export(sysfs: Sysfs, kinds: Sequence[str]) -> str:
    """The enabled devices of these kinds, dsa or iax, in accel-config's JSON, each by its own name.

    What a layout cannot say is told as a warning.

    Raises:
        LayoutError: there is no such device.
    """
    entries = []
    names = [name for kind in kinds for name in device_names(sysfs, kind)]
    for name in sorted(names, key=lambda one: int(one.lstrip("dsaix"))):
        try:
            device = read_device(sysfs, name)
        except OSError as error:
            log.warning("left out", device=name, reason=f"it has gone: {reason(error)}")
            continue
        if not device.enabled:
            log.info("left out", device=name, reason=f"it is {device.own.get('state', 'unknown')}")
            continue
        entry = exported(device)
        for text in unlike(device, entry):
            log.warning(text)
        entries.append(entry)
    if not entries:
        raise LayoutError(f"no device of {' or '.join(kinds)} is enabled: there is nothing to export")
    return json.dumps(entries, indent=2)


def exported(device: Device) -> Mapping[str, Any]:
    """A device as an entry of a layout: its enabled queues, their groups, and the engines of those."""
    queues = {number: queue for number, queue in device.queues.items() if queue.get("state") == "enabled"}
    used = {integer(queue.get("group_id")) for queue in queues.values()}
    groups = []
    for number, group in device.groups.items():
        if number not in used:
            continue
        inside = [
            {"dev": device.queue(one), **_values(queue, _keys_of(queue))}
            for one, queue in queues.items()
            if integer(queue.get("group_id")) == number
        ]
        engines = [
            {"dev": f"engine{device.number}.{one}", "group_id": number}
            for one, engine in device.engines.items()
            if integer(engine.get("group_id")) == number
        ]
        values = _values(group, [key for key in OF_GROUP if _counts(device, key)])
        groups.append(
            {
                "dev": f"group{device.number}.{number}",
                **values,
                "grouped_workqueues": inside,
                **({"grouped_engines": engines} if engines else {}),
            }
        )
    return {"dev": device.name, **_values(device.own, OF_DEVICE), **({"groups": groups} if groups else {})}


def unlike(device: Device, entry: Mapping[str, Any]) -> Sequence[str]:
    """What would be different if the entry were applied; one line each."""
    try:
        read = as_layout([entry], FILE, known_only=True).entries[device.name]
        found = differences(device, wish(device, read, FILE))
    except (LayoutError, RefusedError) as error:
        return [str(error)]
    return [f"{FILE}: a layout cannot say all of it: {one}" for one in found]


def _keys_of(queue: Attributes) -> Sequence[str]:
    return [key for key in OF_QUEUE if key != "threshold" or queue.get("mode") == "shared"]


def _counts(device: Device, key: str) -> bool:
    """Whether a group's attribute means something on this device."""
    if key in TRAFFIC_CLASSES:
        return (device.limit("version") or 0) >= FIRST_WITH_TRAFFIC_CLASSES
    return key != "use_read_buffer_limit" or bool(device.limit("read_buffer_limit"))


def _values(attributes: Attributes, keys: Sequence[str]) -> Mapping[str, Any]:
    return {key: _value(key, attributes[key]) for key in keys if attributes.get(key)}


def _value(key: str, text: str) -> str | int:
    number = integer(text)
    return text if key in TEXTS or number is None else number
