"""What sysfs and /dev say of an accelerator: whether it is an NPU to offer, and why not.

An accelerator is the path of its entry in class/accel. Whatever is wrong with one costs that one only.
"""

import re
from collections.abc import Collection
from pathlib import Path

from xpu_shared.device import Problem
from xpu_shared.kernel.device_files import CHARACTER_DEVICE, is_simulated, kind_of_file
from xpu_shared.kernel.sysfs import MalformedAttributeError, read_link_name, read_text

INTEL = 0x8086
DRIVER = "intel_vpu"
HEXADECIMAL = re.compile(r"(?:0[xX])?[0-9a-fA-F]{1,16}")
LONGEST_ID = 64  # characters of an attribute that holds a number
PCI_IDS = {
    0x7D1D: "Core Ultra Series 1 (Meteor Lake)",
    0xAD1D: "Core Ultra Series 2 (Arrow Lake)",
    0x643E: "Core Ultra 200V (Lunar Lake)",
    0xB03E: "Core Ultra Series 3 (Panther Lake)",
    0xFD3E: "Wildcat Lake",
    0xD71D: "Nova Lake",
    # Meteor Lake's Gaussian and neural accelerator, which has another driver and so no entry: the reference names it.
    0x7E4C: "Meteor Lake GNA",
}


class RejectedNpuError(Exception):
    """An accelerator that is not offered; `expected` when that is an ordinary sight, such as another vendor's."""

    def __init__(self, reason: str, *, expected: bool = False) -> None:
        super().__init__(reason)
        self.expected = expected


def check_hardware(entry: Path, allow: Collection[str], deny: Collection[str], problems: list[Problem]) -> None:
    """Only Intel's NPUs are offered, and of them those that the lists do not rule out.

    Raises:
        RejectedNpuError: it is none, or ruled out.
        OSError, MalformedAttributeError: it does not say what it is.
    """
    vendor = _pci_id(entry / "device/vendor")
    if vendor != INTEL:
        raise RejectedNpuError(f"its vendor is {vendor:#06x}, not Intel ({INTEL:#06x})", expected=True)
    id_ = _pci_id(entry / "device/device")
    text = f"{id_:#06x}"
    if id_ not in PCI_IDS:
        if _driver(entry) != DRIVER:
            raise RejectedNpuError(f"its PCI id {text} is none of an NPU's, and its driver is not {DRIVER}")
        problems.append(Problem(subject=entry.name, text=f"offered for its driver {DRIVER}: its PCI id {text} is new"))
    if allow and text not in allow:
        raise RejectedNpuError(f"its PCI id {text} is not in --allow-ids", expected=True)
    if text in deny:
        raise RejectedNpuError(f"its PCI id {text} is in --deny-ids", expected=True)


def _pci_id(attribute: Path) -> int:
    text = read_text(attribute)
    first_line = text.partition("\n")[0].rstrip()
    if len(first_line) > LONGEST_ID or not HEXADECIMAL.fullmatch(first_line):
        raise MalformedAttributeError(attribute, expected=f"a PCI id such as {INTEL:#06x}", found=text)
    return int(first_line, base=16)


def _driver(entry: Path) -> str | None:
    try:
        return read_link_name(entry / "device/driver")
    except OSError:
        return None


def check_device_file(file: Path, *, dev: Path) -> None:
    """The file is what the container opens; a link to it is as good as itself.

    Raises:
        RejectedNpuError: it is absent or something else.
        OSError: it cannot be looked at.
    """
    try:
        kind = kind_of_file(file.stat().st_mode)
    except FileNotFoundError:
        raise RejectedNpuError(_nothing_at(file)) from None
    if kind != CHARACTER_DEVICE and not is_simulated(dev):
        raise RejectedNpuError(f"{file}: expected a character device, found a {kind}")


def _nothing_at(file: Path) -> str:
    """Why there is no file. The kernel removes the directory with the last NPU, and a mount of it stays empty."""
    try:
        orphan = file.parent.stat().st_nlink == 0
    except OSError:
        orphan = False
    if orphan:
        return (
            f"{file.parent} was removed and made anew on the host: mount /dev instead of it, or restart this container"
        )
    return f"it has no device file {file}"
