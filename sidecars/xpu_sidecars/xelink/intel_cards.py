"""The Intel GPUs that the kernel has cards of, whatever the driver library knows."""

import os
from dataclasses import dataclass
from pathlib import Path

from xpu_shared.kernel.sysfs import MalformedAttributeError, read_text
from xpu_sidecars.level_zero.cards import cards

INTEL = "0x8086"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    number: int  # N of cardN
    pci_address: str
    numa_node: int | None


def intel_cards(sysfs: Path) -> list[Card]:
    """Those of Intel, by PCI address. OSError when none can be listed."""
    os.listdir(sysfs / "class/drm")
    found: dict[str, Card] = {}
    for number, address in cards(sysfs).items():
        device = f"{sysfs}/class/drm/card{number}/device"
        if _text(f"{device}/vendor") == INTEL:
            found.setdefault(address, Card(number=number, pci_address=address, numa_node=_node(f"{device}/numa_node")))
    return [found[address] for address in sorted(found)]


def _text(attribute: str) -> str:
    try:
        return read_text(attribute)
    except (OSError, MalformedAttributeError):
        return ""


def _node(attribute: str) -> int | None:
    text = _text(attribute)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else None
