"""Which GPUs the kernel's drivers have, to notice that the library has to be asked anew: it finds devices only once."""

import os
from collections.abc import Collection
from pathlib import Path

from xpu_shared.telemetry.decoding import PCI_ADDRESS

MISSING = 60.0  # seconds; devices are enumerated again within half of it
DRIVERS = ("i915", "xe")


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


class Departures:
    """Lost devices that the kernel's drivers no longer have: pulled out, not broken.

    The library goes on calling such a device lost, also when another one is plugged in at its place, until devices are
    enumerated again. Until then nothing is said of it.
    """

    def __init__(self, sysfs: Path) -> None:
        self._sysfs = sysfs
        self._has_gpus = bool(driven_gpus(sysfs))  # ever; where sysfs has none at all, nothing follows from that
        self._enumeration = 0
        self.gone: set[str] = set()

    def look(self, lost: Collection[str], enumeration: int) -> None:
        """Look where the lost devices of this enumeration are; call it also while none is lost."""
        if enumeration != self._enumeration:
            self._enumeration, self.gone = enumeration, set()
        if (lost or not self._has_gpus) and (now := driven_gpus(self._sysfs)) is not None:
            self._has_gpus |= bool(now)
            self.gone |= set(lost) - now if self._has_gpus else set()

    @property
    def back(self) -> bool:
        """One that had left is there again."""
        return bool(self.gone and self.gone & (driven_gpus(self._sysfs) or frozenset()))


class Missing:
    """GPUs that the kernel's drivers have and the library does not list, because it has not been asked anew yet.

    Some it never lists, so they are waited for only for a while. Times are monotonic seconds.
    """

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def look(self, driven: Collection[str], listed: Collection[str], now: float) -> bool:
        """Whether there is one that may be listed soon."""
        self._since = {address: self._since.get(address, now) for address in set(driven) - set(listed)}
        return any(now - since < MISSING for since in self._since.values())


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
