"""/dev and sysfs to the DLB functions of a node."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from xpu_plugins.dlb.function import Function, RejectedFunctionError, device_number, read_function
from xpu_plugins.dlb.settings import DlbSettings
from xpu_shared.device import Device, DeviceNode, Health, Problem
from xpu_shared.kernel.device_files import CHARACTER_DEVICE, REGULAR_FILE, is_simulated, kind_of_file
from xpu_shared.kernel.sysfs import MalformedAttributeError

NAME = re.compile(r"dlb[0-9]+")


def scan(settings: DlbSettings, problems: list[Problem]) -> list[Function]:
    """List the functions that are offered, by number; OSError when /dev or class/dlb2 cannot be listed."""
    entries = _class_entries(settings.sysfs_root / "class/dlb2")
    files = _device_files(settings.dev_root, problems)
    without_file = sorted(entries - files.keys())
    problems += [_rejected(name, f"it has no device file {settings.dev_root / name}") for name in without_file]
    functions: dict[str, Function] = {}  # by directory
    for name in sorted(files, key=_number):
        try:
            if name not in entries:
                raise RejectedFunctionError(f"it has no entry in {settings.sysfs_root}/class/dlb2")
            _check_file(name, files[name], settings)
            function = _function(name, settings, problems)
        except RejectedFunctionError as error:
            problems.append(_rejected(name, str(error), expected=error.expected))
        except (OSError, MalformedAttributeError) as error:
            problems.append(_rejected(name, str(error)))
        else:
            first = functions.setdefault(function.directory, function)
            if first is not function:
                problems.append(_rejected(name, f"it is the PCI function of {first.name}: {function.directory}"))
    return list(functions.values())


def _function(name: str, settings: DlbSettings, problems: list[Problem]) -> Function:
    function = read_function(
        name,
        settings.sysfs_root,
        problems,
        by_pci_id=settings.classify == "pci-id",
        with_vfs=settings.pf_with_vfs == "advertise",
    )
    if settings.device_id == "bdf" and function.address is None:
        raise RejectedFunctionError(f"--device-id=bdf: {function.directory} is no PCI address")
    return function


def _class_entries(directory: Path) -> set[str]:
    """The driver's devices; none when it is not loaded."""
    try:
        return {name for name in os.listdir(directory) if NAME.fullmatch(name)}
    except FileNotFoundError:
        return set()


def _device_files(dev: Path, problems: list[Problem]) -> dict[str, os.stat_result]:
    """The files in /dev that have a function's name."""
    files = {}
    for name in os.listdir(dev):
        if not name.startswith("dlb"):
            continue
        if not NAME.fullmatch(name):
            problems.append(_rejected(name, "expected a name such as dlb0", expected=True))
            continue
        try:
            files[name] = (dev / name).stat()
        except FileNotFoundError:
            continue  # it went just now
        except OSError as error:
            problems.append(_rejected(name, str(error)))
    return files


def _check_file(name: str, status: os.stat_result, settings: DlbSettings) -> None:
    """A file that is not the function's would open something else, or nothing."""
    path, kind = settings.dev_root / name, kind_of_file(status.st_mode)
    if kind == REGULAR_FILE and is_simulated(settings.dev_root):
        return
    if kind != CHARACTER_DEVICE:
        raise RejectedFunctionError(f"{path}: expected a character device, found a {kind}")
    own = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    drivers = device_number(name, settings.sysfs_root)
    if drivers not in (None, own):
        raise RejectedFunctionError(f"{path}: expected device {drivers}, as the driver says, found {own}")


def _rejected(name: str, reason: str, *, expected: bool = False) -> Problem:
    return Problem(subject=name, text=reason, rejected=True, expected=expected)


def _number(name: str) -> tuple[int, str]:
    return int(name.removeprefix("dlb")), name


def devices(functions: Iterable[Function], settings: DlbSettings) -> dict[str, Sequence[Device]]:
    """The functions as the kubelet is told of them, by device type."""
    found: dict[str, list[Device]] = {}
    for function in functions:
        found.setdefault(function.type, []).append(_device(function, settings))
    return dict(found)


def device_id(function: Function, kind: str) -> str:
    """Its id: the file's path, wherever the device files are looked for, or the PCI address (`bdf`)."""
    return function.address or "" if kind == "bdf" else f"/dev/{function.name}"


def _device(function: Function, settings: DlbSettings) -> Device:
    node = DeviceNode(host_path=f"{settings.host_dev_root}/{function.name}", container_path=f"/dev/{function.name}")
    return Device(
        id=device_id(function, settings.device_id),
        nodes=(node,),
        numa_nodes=function.numa_nodes,
        health=Health.UNHEALTHY if function.fault else Health.HEALTHY,
        reason=function.fault,
    )
