"""`xpu-gpu-plugin discover`: what would be advertised, and why the other cards would not."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby

from xpu_plugins.gpu.plugin import GpuPlugin
from xpu_plugins.gpu.settings import GpuSettings
from xpu_shared.acceptance import accept
from xpu_shared.device import Device, ScanResult
from xpu_shared.kubelet.messages import list_message

MOST_FILES = 6  # shown of a device; a monitoring device has those of all cards


def discover(settings: GpuSettings) -> int:
    """Print it; returns the exit code."""
    plugin = GpuPlugin(settings)
    try:
        found = plugin.scan()
    except OSError as error:
        print(f"xpu-gpu-plugin: no GPU can be seen: {error}", file=sys.stderr)
        return 1
    result = accept(plugin.namespace, found, settings.socket_directories, instance=settings.instance)
    text = as_json(plugin.namespace, result) if settings.output == "json" else as_table(plugin.namespace, result)
    try:
        print(text, flush=True)
    except BrokenPipeError:  # of `discover | head`; what Python still holds must not fail at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def as_json(namespace: str, result: ScanResult) -> str:
    """The shape is documented in docs/gpu.md; keys are only ever added."""
    resources = [
        {
            "name": f"{namespace}/{device_type}",
            "listBytes": list_message(devices).ByteSize(),
            "devices": [_device(device) for device in devices],
        }
        for device_type, devices in result.devices.items()
    ]
    rejected = [
        {"subject": problem.subject, "reason": problem.text, "expected": problem.expected}
        for problem in result.problems
        if problem.rejected
    ]
    problems = [
        {"subject": problem.subject, "text": problem.text} for problem in result.problems if not problem.rejected
    ]
    return json.dumps({"resources": resources, "rejected": rejected, "problems": problems}, indent=2)


def _device(device: Device) -> dict[str, object]:
    return {
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


def as_table(namespace: str, result: ScanResult) -> str:
    """Tables for people; ids of one shared GPU are one line."""
    offered = [row for device_type in result.devices for row in _rows(namespace, device_type, result)]
    rejected = [(problem.subject, problem.text) for problem in result.problems if problem.rejected]
    others = [(problem.subject, problem.text) for problem in result.problems if not problem.rejected]
    header = ("RESOURCE", "DEVICES", "HEALTH", "NUMA", "FILES IN /dev", "BY-PATH", "CDI DEVICE")
    parts = ["\n".join(columns([header, *offered])) if offered else "No GPU is offered."]
    if rejected:
        parts.append("\n".join(columns([("NOT OFFERED", "REASON"), *rejected])))
    if others:
        parts.append("\n".join(columns([("ABOUT", "PROBLEM"), *others])))
    return "\n\n".join(parts)


def _rows(namespace: str, device_type: str, result: ScanResult) -> Iterator[tuple[str, ...]]:
    def hardware(device: Device) -> object:
        return (device.nodes, device.mounts, device.numa_nodes, device.cdi, device.health)

    for _, alike in groupby(result.devices[device_type], key=hardware):
        first, *others = alike
        files = [node.container_path.removeprefix("/dev/") for node in first.nodes]
        more = [f".. {len(files)} files"] if len(files) > MOST_FILES else []
        yield (
            f"{namespace}/{device_type}",
            f"{first.id} .. {others[-1].id}" if others else first.id,
            first.health,
            ",".join(map(str, first.numa_nodes)) or "-",
            " ".join(files[:MOST_FILES] + more),
            " ".join(mount.container_path.removeprefix("/dev/dri/by-path/") for mount in first.mounts) or "-",
            first.cdi.qualified_name if first.cdi else "-",
        )


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with aligned cells. Texts may come from file names, so what not every terminal can show is escaped."""
    printable = [[cell if cell.isprintable() and cell.isascii() else ascii(cell)[1:-1] for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*printable, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in printable]
