"""`discover`, a word of every plugin's program: what would be offered, and why other devices would not."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

from xpu_shared.acceptance import accept
from xpu_shared.device import Device, Health, ScanResult
from xpu_shared.health import UNKNOWN
from xpu_shared.kubelet.messages import list_message
from xpu_shared.looking import look_once
from xpu_shared.plugin import Plugin, TellsDetails
from xpu_shared.program import logs
from xpu_shared.program.output import write
from xpu_shared.program.settings import FamilySettings
from xpu_shared.program.table import Column, lines

PATIENCE = 1.0  # seconds for a plugin's own source to say something of each device
MOST_FILES = 6  # shown of a device; one for all hardware of a node has many


def discover(plugin: Plugin, settings: FamilySettings, *, program: str, unit: str, columns: Sequence[Column]) -> int:
    """Print it; returns the exit code.

    Args:
        unit: what one device is, in the singular, e.g. `work queue`.
        columns: of the table, after those that every family has.
    """
    logs.silence()  # what there is to say is printed
    try:
        found = look_once(plugin, patience=PATIENCE)
    except OSError as error:
        print(f"{program}: no {unit} can be seen: {error}", file=sys.stderr)
        return 1
    result = accept(plugin.namespace, found, settings.socket_directories, instance=settings.instance)
    if settings.output == "json":
        text = json.dumps(as_values(plugin, result), indent=2)
    else:
        text = as_table(plugin, result, unit=unit, columns=columns)
    return write(text, program=program)


def as_values(plugin: Plugin, result: ScanResult) -> dict[str, list[dict[str, object]]]:
    """What becomes JSON. The shape is documented in docs/operations.md; keys are only ever added."""
    resources: list[dict[str, object]] = [
        {
            "name": f"{plugin.namespace}/{device_type}",
            "listBytes": list_message(devices).ByteSize(),
            "devices": [_device(device, details(plugin, device)) for device in devices],
        }
        for device_type, devices in result.devices.items()
    ]
    rejected: list[dict[str, object]] = [
        {"subject": problem.subject, "reason": problem.text, "expected": problem.expected}
        for problem in result.problems
        if problem.rejected
    ]
    problems: list[dict[str, object]] = [
        {"subject": problem.subject, "text": problem.text} for problem in result.problems if not problem.rejected
    ]
    return {"resources": resources, "rejected": rejected, "problems": problems}


def details(plugin: Plugin, device: Device) -> Mapping[str, str]:
    return plugin.details(device) if isinstance(plugin, TellsDetails) else {}


def detail_columns(plugin: Plugin, result: ScanResult) -> list[Column]:
    """Columns for what a plugin tells of its devices besides what every plugin does."""
    devices = [device for devices in result.devices.values() for device in devices]
    names = dict.fromkeys(name for device in devices for name in details(plugin, device))

    def cell(name: str) -> Callable[[Device], str]:
        return lambda device: details(plugin, device).get(name, "")

    return [Column(name.upper(), cell(name)) for name in names]


def _device(device: Device, details: Mapping[str, str]) -> dict[str, object]:
    always: dict[str, object] = {
        "id": device.id,
        "health": str(device.health),
        "numaNodes": list(device.numa_nodes),
        "nodes": [
            {"hostPath": node.host_path, "containerPath": node.container_path, "permissions": node.permissions}
            for node in device.nodes
        ],
        "mounts": [
            {"hostPath": mount.host_path, "containerPath": mount.container_path, "readOnly": mount.read_only}
            for mount in device.mounts
        ],
        "cdi": device.cdi.qualified_name if device.cdi else None,
    }
    sometimes: dict[str, object] = {
        "reason": device.reason,
        "conditions": list(device.conditions),
        "envs": dict(device.envs),
        "annotations": dict(device.annotations),
        "details": dict(details),
    }
    return always | {key: value for key, value in sometimes.items() if value}


def as_table(plugin: Plugin, result: ScanResult, *, unit: str, columns: Sequence[Column]) -> str:
    """Tables for people; ids of the same hardware are one line."""
    namespace, columns = plugin.namespace, [*columns, *detail_columns(plugin, result)]
    offered = [row for device_type in result.devices for row in _rows(namespace, device_type, result, columns)]
    rejected = [(problem.subject, problem.text) for problem in result.problems if problem.rejected]
    others = [(problem.subject, problem.text) for problem in result.problems if not problem.rejected]
    unhealthy = _reasons(result, lambda device: device.health is not Health.HEALTHY)
    unknown = _reasons(result, lambda device: device.health is Health.HEALTHY)
    header = ("RESOURCE", "DEVICES", "HEALTH", "NUMA", "FILES IN /dev", *(column.header for column in columns))
    parts = ["\n".join(lines([header, *offered])) if offered else f"No {unit} is offered."]
    if unhealthy:
        parts.append("\n".join(lines([("UNHEALTHY", "REASON"), *unhealthy])))
    if unknown:
        parts.append("\n".join(lines([("HEALTH UNKNOWN", "REASON"), *unknown])))
    if rejected:
        parts.append("\n".join(lines([("NOT OFFERED", "REASON"), *rejected])))
    if others:
        parts.append("\n".join(lines([("ABOUT", "PROBLEM"), *others])))
    return "\n\n".join(parts)


def _rows(namespace: str, device_type: str, result: ScanResult, columns: Sequence[Column]) -> Iterator[tuple[str, ...]]:
    for first, last in _alike(result.devices[device_type]):
        files = [node.container_path.removeprefix("/dev/") for node in first.nodes]
        more = [f".. {len(files)} files"] if len(files) > MOST_FILES else []
        yield (
            f"{namespace}/{device_type}",
            _ids(first, last),
            f"{first.health}, {UNKNOWN}" if UNKNOWN in first.conditions else first.health,
            ",".join(map(str, first.numa_nodes)) or "-",
            " ".join(files[:MOST_FILES] + more) or "-",
            *(column.cell(first) or "-" for column in columns),
        )


def _reasons(result: ScanResult, wanted: Callable[[Device], bool]) -> list[tuple[str, str]]:
    return [
        (_ids(first, last), first.reason)
        for devices in result.devices.values()
        for first, last in _alike(devices)
        if first.reason and wanted(first)
    ]


def _alike(devices: Sequence[Device]) -> Iterator[tuple[Device, Device]]:
    """The first and the last of the devices in a row that differ in nothing but their ids."""

    def hardware(device: Device) -> object:
        return (device.nodes, device.mounts, device.envs, device.numa_nodes, device.cdi, device.health, device.reason)

    for _, group in groupby(devices, key=hardware):
        first, *others = group
        yield first, others[-1] if others else first


def _ids(first: Device, last: Device) -> str:
    return first.id if first is last else f"{first.id} .. {last.id}"
