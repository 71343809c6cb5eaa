"""Which GPUs the kernel's drivers have, to notice that the library has to be asked anew: it finds devices only once."""

import os
from collections.abc import Collection
from pathlib import Path

from xpu_shared.telemetry.decoding import PCI_ADDRESS

MISSING = 60.0  # seconds; devices are enumerated again within half of it
SETTLED = 1.0  # seconds: drivers leave a device and come back in steps
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
    """Devices that the kernel's drivers had and no longer have: pulled out or unbound, not broken.

    The library goes on listing such a device, also when another one is plugged in at its place, until devices are
    enumerated again, and it cannot be asked while it hangs or crashes. Until then nothing is said of the device.
    Times are monotonic seconds.
    """

    def __init__(self, sysfs: Path) -> None:
        self._sysfs = sysfs
        self._seen = driven_gpus(sysfs) or frozenset()  # ever; where sysfs never had any, nothing follows from that
        self._enumeration = 0
        self._absent: dict[str, float] = {}  # since when
        self.gone: set[str] = set()

    def look(self, listed: Collection[str], lost: Collection[str], enumeration: int, now: float) -> None:
        """Look where the devices are that the library lists; those that it calls lost have left if they are not there.

        Others may be back in a moment.
        """
        if enumeration != self._enumeration:
            self._enumeration, self.gone = enumeration, set()
        if listed and (there := driven_gpus(self._sysfs)) is not None:
            self._seen |= there
            absent = (self._seen & set(listed)) - there
            self._absent = {address: self._absent.get(address, now) for address in absent}
            self.gone |= {address for address, since in self._absent.items() if now - since >= SETTLED}
            self.gone |= set(lost) - there if self._seen else set()  # also one that came and went between two looks

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
