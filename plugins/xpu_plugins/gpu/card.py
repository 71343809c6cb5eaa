"""What sysfs says of a DRM card: whether it is a GPU to offer, and why not.

A card is the path of its entry in class/drm, as text, because Path objects would take as long as the reading itself.
Whatever is wrong with a card costs that card only.
"""

# ruff: noqa: PTH115, PTH119 - the functions of os for paths that are text

import errno
import os
import re
from collections.abc import Collection
from pathlib import Path

from xpu_shared.device import Problem
from xpu_shared.kernel.sysfs import MalformedAttributeError, read_integer, read_link_name, read_text

INTEL = "0x8086"
DRIVERS = ("i915", "xe")  # each is a device type
NAME = re.compile(r"card[0-9]+")  # matched whole: connectors such as card0-DP-1 are no cards
PCI_ID = re.compile(r"0x[0-9a-f]{4}")
ROOT_BUS = re.compile(r"pci[0-9a-f]{4,8}:[0-9a-f]{2}")
PCI_ADDRESS = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]")


class RejectedCardError(Exception):
    """A card that is not offered; `expected` when that is an ordinary sight, such as another vendor's card."""

    def __init__(self, reason: str, *, expected: bool = False) -> None:
        super().__init__(reason)
        self.expected = expected


def card_names(sysfs: Path) -> list[str]:
    """The cards in class/drm by number, so that card10 comes after card9; OSError when it cannot be listed."""
    names = [name for name in os.listdir(sysfs / "class/drm") if NAME.fullmatch(name)]
    return sorted(names, key=lambda name: (int(name.removeprefix("card")), name))


def problem(card: str, text: str) -> Problem:
    """Something about a card that does not rule it out."""
    return Problem(subject=os.path.basename(card), text=text)


def check_vendor(card: str) -> None:
    """Only Intel's cards are offered.

    Raises:
        RejectedCardError: it is another vendor's.
        OSError, MalformedAttributeError: it does not say whose it is.
    """
    vendor = _pci_id(f"{card}/device/vendor")
    if vendor != INTEL:
        raise RejectedCardError(f"its vendor is {vendor}, not Intel ({INTEL})", expected=True)


def check_lists(card: str, allow: Collection[str], deny: Collection[str], problems: list[Problem]) -> None:
    """Hold the card's PCI id against the administrator's lists, of which at most one has entries.

    Raises:
        RejectedCardError: a list rules it out.
        OSError: it cannot be read.
        MalformedAttributeError: it is no id, so no allow list holds it. No deny list does either.
    """
    if not allow and not deny:
        return
    try:
        pci_id = _pci_id(f"{card}/device/device")
    except MalformedAttributeError as error:
        if allow:
            raise
        problems.append(problem(card, f"not held against --deny-ids: {error}"))
        return
    if allow and pci_id not in allow:
        raise RejectedCardError(f"its PCI id {pci_id} is not in --allow-ids", expected=True)
    if pci_id in deny:
        raise RejectedCardError(f"its PCI id {pci_id} is in --deny-ids", expected=True)


def _pci_id(attribute: str) -> str:
    text = read_text(attribute)
    first_line = text.partition("\n")[0].rstrip()
    if not PCI_ID.fullmatch(first_line):
        raise MalformedAttributeError(attribute, expected=f"a PCI id such as {INTEL}", found=text)
    return first_line


def check_virtual_functions(card: str, problems: list[Problem]) -> None:
    """A physical function with virtual functions has other resources than they have; they are offered instead of it.

    Raises:
        RejectedCardError: it is such a physical function.
    """
    attribute = f"{card}/device/sriov_numvfs"
    try:
        enabled = read_integer(attribute)
        if enabled < -1:
            raise MalformedAttributeError(attribute, expected="a number of functions", found=str(enabled))
    except FileNotFoundError:
        return  # without SR-IOV
    except (OSError, MalformedAttributeError) as error:
        problems.append(problem(card, f"taken for a card without virtual functions: {error}"))
        return
    if enabled > 0:
        raise RejectedCardError(f"it has {enabled} virtual functions, which are offered instead", expected=True)


def driver(card: str, problems: list[Problem], last: str | None = None) -> str:
    """The card's kernel driver. A card that never had the link is taken for i915: only simulated trees have such.

    Args:
        last: the driver it had at the last scan. The kernel takes the link away before the card when it unbinds it.
    Raises:
        RejectedCardError: the driver is not one of Intel's GPU drivers, or has just let go of the card.
        OSError: the link cannot be read.
    """
    link = f"{card}/device/driver"
    try:
        name = read_link_name(link)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EINVAL):  # absent, or no link
            raise
        if last not in (None, "i915"):
            raise RejectedCardError(f"its driver {last} has let go of it") from None
        problems.append(problem(card, f"taken for i915: there is no link {link}"))
        return "i915"
    if name not in DRIVERS:
        raise RejectedCardError(f"its driver is {name[:64]!a}, expected {' or '.join(DRIVERS)}")
    return name


def pci_address(card: str) -> str | None:
    """The address in the card's link `../../devices/…/<address>/drm/<card>`; None when there is none."""
    try:
        *_, address, drm, name = os.readlink(card).split("/")
    except (OSError, ValueError):
        return None
    matches = drm == "drm" and name == os.path.basename(card) and PCI_ADDRESS.fullmatch(address)
    return address if matches else None


def root_port(card: str) -> str | None:
    """The address of the port below which the card is, the first one below the root bus; None when it is on the bus."""
    try:
        *path, drm, name = os.readlink(card).split("/")
    except (OSError, ValueError):
        return None
    if drm != "drm" or name != os.path.basename(card):
        return None
    bus = next((place for place, part in enumerate(path) if ROOT_BUS.fullmatch(part)), len(path))
    below = path[bus + 1 :]
    return below[0] if len(below) > 1 and all(map(PCI_ADDRESS.fullmatch, below)) else None


def device_address(card: str) -> str | None:
    """The address by which sources of health know the card; the link of its device names it too."""
    address = pci_address(card)
    if address is None:
        address = os.path.basename(os.path.realpath(f"{card}/device"))
    return address if PCI_ADDRESS.fullmatch(address) else None
