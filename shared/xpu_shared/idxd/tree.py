"""What sysfs says of idxd's devices and work queues. Whatever is wrong with a queue costs that queue only.

Devices and queues are paths as text, because Path objects would take as long as the reading itself.
"""

# ruff: noqa: PTH119, PTH120 - the functions of os for paths that are text

import os
import re
from collections.abc import Sequence
from pathlib import Path

from xpu_shared.device import Problem
from xpu_shared.idxd.accelerator import Accelerator
from xpu_shared.kernel.sysfs import MalformedAttributeError, read_integer, read_text

BUS = "bus/dsa/devices"
DEVICE_STATES = ("enabled", "disabled", "halted", "unknown")
QUEUE_STATES = ("enabled", "disabled")
MODES = ("dedicated", "shared")
TYPES = ("user", "kernel", "mdev", "none")
QUEUE = re.compile(r"wq([0-9]+)\.([0-9]+)")
NUMBERS = re.compile(r"([0-9]{1,9}):([0-9]{1,9})")
PCI_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


def device_names(sysfs: Path, accelerator: Accelerator) -> list[str]:
    """The accelerator's devices by number; none where the driver is not loaded.

    Raises:
        OSError: they cannot be listed, or there is no sysfs.
    """
    try:
        entries = os.listdir(sysfs / BUS)
    except FileNotFoundError:
        os.listdir(sysfs)
        return []
    name = re.compile(rf"{accelerator.device}[0-9]+")
    prefix = len(accelerator.device)
    return sorted((entry for entry in entries if name.fullmatch(entry)), key=lambda entry: (int(entry[prefix:]), entry))


def queue_names(device: str, number: str, problems: list[Problem]) -> list[str]:
    """The device's queues by number; OSError when they cannot be listed."""
    names = []
    for entry in sorted(os.listdir(device)):
        match = QUEUE.fullmatch(entry)
        if match and match[1] == number:
            names.append((int(match[2]), entry))
        elif entry.startswith("wq"):
            text = f"ignored: expected a queue of this device, such as wq{number}.0"
            problems.append(Problem(subject=f"{device}/{entry}", text=text))
    return [name for _, name in sorted(names)]


def word(attribute: str, known: Sequence[str]) -> str:
    """Read an attribute whose value is one of a few words.

    Raises:
        OSError: it cannot be read.
        MalformedAttributeError: it holds something else.
    """
    text = read_text(attribute)
    if text not in known:
        raise MalformedAttributeError(attribute, expected=f"one of {', '.join(known)}", found=text)
    return text


def character_number(queue: str, accelerator: Accelerator) -> tuple[int, int] | None:
    """Major and minor number of a queue's character device; None when sysfs does not say them.

    Raises:
        MalformedAttributeError: they are no numbers.
    """
    name = os.path.basename(queue)
    attribute = f"{queue}/{accelerator.device}!{name}/dev"  # a `/` in the device's name is `!` in sysfs
    try:
        text = read_text(attribute)
    except OSError:
        return _number_by_parts(queue)
    match = NUMBERS.fullmatch(text)
    if match is None:
        raise MalformedAttributeError(attribute, expected="two numbers such as 511:4", found=text)
    return int(match[1]), int(match[2])


def _number_by_parts(queue: str) -> tuple[int, int] | None:
    try:
        return read_integer(f"{os.path.dirname(queue)}/cdev_major"), read_integer(f"{queue}/cdev_minor")
    except OSError:  # ENXIO while there is no character device
        return None


def pci_address(device: str) -> str | None:
    """Of the function that a device's directory is in; None when it is elsewhere."""
    parent = os.path.basename(os.path.dirname(device))
    return parent if PCI_ADDRESS.fullmatch(parent) else None
