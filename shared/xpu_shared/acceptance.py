"""What of a scan may be advertised: names, ids, NUMA nodes and CDI devices that the kubelet and runtimes accept.

One bad device costs only itself, one bad device type only its own devices; each is told as a problem.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from xpu_shared import cdi
from xpu_shared.device import Device, Problem, ScanResult

SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
LONGEST_SOCKET_PATH = 107  # bytes, the kernel's sockaddr_un without its final NUL
LONGEST_ID = 63
LARGEST_NUMA_NODE = 63  # the kubelet keeps nodes in a 64-bit mask


def resource_name_violation(name: str) -> str | None:
    """The rule of the kubelet that an extended resource's name breaks, None for a good name."""
    domain, slash, last = name.partition("/")
    if not slash:
        return "expected a '/' between namespace and device type"
    if "kubernetes.io/" in name:
        return "names in kubernetes.io are Kubernetes' own"
    if name.startswith("requests."):
        return "names starting with 'requests.' are Kubernetes' own"
    if len("requests." + domain) > 253 or not SUBDOMAIN.fullmatch(domain):
        return "the part before '/' is not a lower-case DNS subdomain of at most 244 characters"
    if not NAME.fullmatch(last):
        return "the part after '/' is not 1 to 63 letters, digits, '-', '_', '.' with a letter or digit at both ends"
    return None


def endpoint_name(namespace: str, device_type: str, *, instance: str = "", number: int = 0) -> str:
    """The socket's file name.

    Args:
        instance: tells apart several instances of a plugin that run at once.
        number: counts up when the kubelet no longer takes the plain name.
    """
    parts = (f"{namespace}-{device_type}", instance, str(number) if number else "")
    return "-".join(part for part in parts if part) + ".sock"


def accept(namespace: str, result: ScanResult, sockets: Sequence[Path], *, instance: str = "") -> ScanResult:
    """The part of a scan that may be advertised, with a problem for each part that may not.

    Args:
        sockets: the directories our sockets are put in, because the length of a socket's path is limited.
        instance: part of the sockets' names.
    """
    devices: dict[str, Sequence[Device]] = {}
    problems = list(result.problems)
    for device_type in sorted(result.devices):
        violation = type_violation(namespace, device_type, sockets, instance=instance)
        if violation is not None:
            problems.append(Problem(subject=f"{namespace}/{device_type}", text=violation, rejected=True))
            continue
        devices[device_type] = tuple(_devices(f"{namespace}/{device_type}", result.devices[device_type], problems))
    return replace(result, devices=devices, problems=tuple(problems))


def type_violation(namespace: str, device_type: str, sockets: Sequence[Path], *, instance: str = "") -> str | None:
    """Why a device type cannot be served, None when it can."""
    violation = resource_name_violation(f"{namespace}/{device_type}")
    if violation is not None:
        return violation
    for directory in sockets:
        path = directory / endpoint_name(namespace, device_type, instance=instance)
        length = len(os.fsencode(path))
        if length > LONGEST_SOCKET_PATH:
            return f"socket path {path} has {length} bytes, at most {LONGEST_SOCKET_PATH} are possible"
    return None


def _devices(resource: str, found: Iterable[Device], problems: list[Problem]) -> Iterable[Device]:
    seen: set[str] = set()
    for device in found:
        violation = id_violation(device.id) or (cdi.violation(device.cdi) if device.cdi else None)
        if violation is None and device.id in seen:
            violation = "another device has the same id"
        if violation is not None:
            problems.append(Problem(subject=f"{resource} device {device.id[:80]!r}", text=violation, rejected=True))
            continue
        seen.add(device.id)
        nodes = tuple(sorted({node for node in device.numa_nodes if 0 <= node <= LARGEST_NUMA_NODE}))
        if len(nodes) != len(set(device.numa_nodes)):
            text = f"NUMA nodes {device.numa_nodes}: those outside 0 to {LARGEST_NUMA_NODE} are left out"
            problems.append(Problem(subject=f"{resource} device {device.id!r}", text=text))
        yield device if nodes == device.numa_nodes else replace(device, numa_nodes=nodes)


def id_violation(id_: str) -> str | None:
    if not id_:
        return "its id is empty"
    if len(id_) > LONGEST_ID:
        return f"its id has {len(id_)} characters, at most {LONGEST_ID} are possible"
    if not id_.isprintable() or not id_.isascii():
        return "its id holds characters that are not printable ASCII"
    return None
