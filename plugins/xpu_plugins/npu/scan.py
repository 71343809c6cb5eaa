"""Sysfs and /dev to the NPUs of a node, and these to its devices."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xpu_plugins.npu.accelerator import RejectedNpuError, check_device_file, check_hardware
from xpu_plugins.npu.settings import NpuSettings
from xpu_shared.device import CdiDevice, Device, DeviceNode, Health, Problem
from xpu_shared.kernel.sysfs import MalformedAttributeError
from xpu_shared.kernel.topology import TopologyError, numa_nodes

CDI_KIND = "intel.cdi.k8s.io/npu"
NAME = re.compile(r"accel[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Npu:
    """An NPU that is offered."""

    name: str  # accel0
    devpath: str  # of its PCI function, as kernel events have it
    numa_nodes: tuple[int, ...]


def scan(settings: NpuSettings, problems: list[Problem]) -> list[Npu]:
    """List the NPUs below the roots that the settings name; OSError when class/accel is there but cannot be listed."""
    return [
        Npu(
            name=name,
            devpath=_devpath(settings.sysfs_root / "class/accel" / name / "device", settings.sysfs_root),
            numa_nodes=_numa_nodes(name, settings.sysfs_root, problems),
        )
        for name in _names(settings.sysfs_root / "class/accel", problems)
        if _is_offered(name, settings, problems)
    ]


def _names(directory: Path, problems: list[Problem]) -> list[str]:
    """The accelerators by number. Without any driver of accelerators the kernel has no such directory."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        text = "it does not exist: no driver of accelerators is loaded"
        problems.append(Problem(subject=str(directory), text=text))
        return []
    accelerators = filter(NAME.fullmatch, names)
    return sorted(accelerators, key=lambda name: (int(name.removeprefix("accel")), name))


def _is_offered(name: str, settings: NpuSettings, problems: list[Problem]) -> bool:
    entry = settings.sysfs_root / "class/accel" / name
    try:
        check_hardware(entry, settings.allow_ids, settings.deny_ids, problems)
        check_device_file(settings.dev_root / "accel" / name, dev=settings.dev_root)
    except RejectedNpuError as error:
        problems.append(Problem(subject=name, text=str(error), rejected=True, expected=error.expected))
        return False
    except (OSError, MalformedAttributeError) as error:
        if os.path.lexists(entry):  # otherwise it went just now
            problems.append(Problem(subject=name, text=str(error), rejected=True))
        return False
    return True


def _devpath(device: Path, sysfs: Path) -> str:
    return os.path.realpath(device).removeprefix(os.path.realpath(sysfs).rstrip("/"))


def _numa_nodes(name: str, sysfs: Path, problems: list[Problem]) -> tuple[int, ...]:
    try:
        return numa_nodes(sysfs / "class/accel" / name / "device", sysfs=sysfs)
    except (TopologyError, OSError) as error:
        problems.append(Problem(subject=name, text=f"no NUMA node is told: {error}"))
        return ()


def devices(npu: Npu, settings: NpuSettings, *, fault: str) -> Iterator[Device]:
    """As many ids for one NPU as containers may share it, alike but for their number.

    Args:
        fault: why it is unhealthy; empty when it is not.
    """
    path = f"accel/{npu.name}"
    node = DeviceNode(host_path=f"{settings.host_dev_root}/{path}", container_path=f"/dev/{path}")
    cdi = CdiDevice(kind=CDI_KIND, name=npu.name, nodes=(node,)) if settings.cdi else None
    for number in range(settings.shared_dev_num):
        yield Device(
            id=f"{npu.name}-{number}",
            nodes=(node,),
            numa_nodes=npu.numa_nodes,
            cdi=cdi,
            health=Health.UNHEALTHY if fault else Health.HEALTHY,
            reason=fault,
        )
