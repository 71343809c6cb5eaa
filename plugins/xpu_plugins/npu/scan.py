"""Sysfs and /dev to the devices of a node's NPUs."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from xpu_plugins.npu.accelerator import RejectedNpuError, check_device_file, check_hardware
from xpu_plugins.npu.settings import NpuSettings
from xpu_shared.device import CdiDevice, Device, DeviceNode, Problem, ScanResult
from xpu_shared.kernel.sysfs import MalformedAttributeError
from xpu_shared.kernel.topology import TopologyError, numa_nodes

DEVICE_TYPE = "accel"
CDI_KIND = "intel.cdi.k8s.io/npu"
NAME = re.compile(r"accel[0-9]+")


def scan(settings: NpuSettings) -> ScanResult:
    """List the NPUs below the roots that the settings name; OSError when class/accel is there but cannot be listed."""
    problems: list[Problem] = []
    devices = [
        device
        for name in _names(settings.sysfs_root / "class/accel", problems)
        if _is_offered(name, settings, problems)
        for device in _ids(name, settings, problems)
    ]
    return ScanResult(devices={DEVICE_TYPE: devices} if devices else {}, problems=tuple(problems))


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


def _ids(name: str, settings: NpuSettings, problems: list[Problem]) -> Iterator[Device]:
    """As many ids for one NPU as containers may share it, alike but for their number."""
    node = DeviceNode(host_path=f"{settings.host_dev_root}/accel/{name}", container_path=f"/dev/accel/{name}")
    nodes = _numa_nodes(name, settings.sysfs_root, problems)
    cdi = CdiDevice(kind=CDI_KIND, name=name, nodes=(node,)) if settings.cdi else None
    for number in range(settings.shared_dev_num):
        yield Device(id=f"{name}-{number}", nodes=(node,), numa_nodes=nodes, cdi=cdi)


def _numa_nodes(name: str, sysfs: Path, problems: list[Problem]) -> tuple[int, ...]:
    try:
        return numa_nodes(sysfs / "class/accel" / name / "device", sysfs=sysfs)
    except (TopologyError, OSError) as error:
        problems.append(Problem(subject=name, text=f"no NUMA node is told: {error}"))
        return ()
