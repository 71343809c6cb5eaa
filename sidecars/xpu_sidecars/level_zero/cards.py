"""Which card of the kernel's a PCI address is: device plugins name GPUs by card, the library by address."""

import os
import re
from pathlib import Path

from xpu_shared.telemetry.decoding import PCI_ADDRESS

CARD = re.compile(r"card([0-9]{1,9})")


def cards(sysfs: Path) -> dict[int, str]:
    """PCI addresses by card number; without cards whose address cannot be had, and empty when none can be listed."""
    try:
        names = os.listdir(sysfs / "class/drm")
    except OSError:
        return {}
    found = {int(match[1]): _address(f"{sysfs}/class/drm/{name}") for name in names if (match := CARD.fullmatch(name))}
    return {number: address for number, address in sorted(found.items()) if address}


def _address(card: str) -> str:
    """From the card's link `../../devices/…/<address>/drm/<card>`, else from that of its device."""
    try:
        parts = os.readlink(card).split("/")  # noqa: PTH115 - 64 of them, at every change
    except OSError:
        parts = []
    address = parts[-3] if len(parts) >= 3 and parts[-2] == "drm" else ""
    if not PCI_ADDRESS.fullmatch(address):
        address = os.path.basename(os.path.realpath(f"{card}/device"))  # noqa: PTH119 - as above
    return address if PCI_ADDRESS.fullmatch(address) else ""
