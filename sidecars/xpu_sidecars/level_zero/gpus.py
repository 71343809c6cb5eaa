"""Which GPUs the kernel's drivers have, to notice that the library has to be asked anew: it finds devices only once."""

import os
import re
from pathlib import Path

DRIVERS = ("i915", "xe")
PCI_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")


def driven_gpus(sysfs: Path) -> frozenset[str] | None:
    """PCI addresses of the functions that a GPU driver is bound to; None when sysfs cannot be read."""
    found: set[str] = set()
    try:
        for driver in DRIVERS:
            directory = sysfs / "bus/pci/drivers" / driver
            if directory.is_dir():
                found.update(name for name in os.listdir(directory) if PCI_ADDRESS.fullmatch(name))
    except OSError:
        return None
    return frozenset(found)


class Changes:
    """Tells a change of the set once it has lasted for two looks: drivers bind in steps."""

    def __init__(self, first: frozenset[str] | None) -> None:
        self._known = self._last = first

    def look(self, now: frozenset[str] | None) -> bool:
        """Whether the set is another one than when devices were last found."""
        settled, self._last = now == self._last, now
        if now is None or not settled or now == self._known:
            return False
        self._known = now
        return True
