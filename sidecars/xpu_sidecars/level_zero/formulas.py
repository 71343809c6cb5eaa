"""How values are made of what Sysman counts. Counters have 64 bits and may wrap; a sample that cannot be is dropped."""

import math
from dataclasses import dataclass

WRAP = 2**64
MOST_WATTS = 2000.0  # above, the counter was reset and not used up
LONGEST_STEP = WRAP // 2  # a larger difference is a counter that went backwards
COLDEST, HOTTEST = -60.0, 250.0  # °C
MOST_MEGAHERTZ = 1e6
MOST_VOLTS = 1000.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A counter and the timestamp of the same structure; of both only differences mean something."""

    count: int
    timestamp: int


def difference(new: int, old: int) -> int | None:
    """How much a counter of 64 bits has grown, over a wrap too; None when it went backwards, as after a reset."""
    grown = (new - old) % WRAP
    return grown if grown < LONGEST_STEP else None


def ratio(new: Sample, old: Sample | None) -> float | None:
    """Growth of the counter per growth of the timestamp; None for want of a usable older sample."""
    if old is None:
        return None
    count, time = difference(new.count, old.count), difference(new.timestamp, old.timestamp)
    return count / time if time and count is not None else None


def watts(new: Sample, old: Sample | None) -> float | None:
    """Power from energy in µJ and time in µs."""
    found = ratio(new, old)
    return found if found is not None and found < MOST_WATTS else None


def share(new: Sample, old: Sample | None) -> float | None:
    """Part of the time that something was on, 0 to 1."""
    found = ratio(new, old)
    return None if found is None else min(found, 1.0)


def per_second(new: Sample, old: Sample | None) -> int | None:
    """Growth per second of a counter whose timestamp is in µs."""
    found = ratio(new, old)
    return None if found is None else round(found * 1e6)


def celsius(value: float) -> float | None:
    """A temperature, None when it is none that a chip can have."""
    return value if math.isfinite(value) and COLDEST <= value <= HOTTEST else None


def hertz(megahertz: float) -> int | None:
    """A frequency; None when it is none that a chip can have. The library tells an unknown one by a negative number."""
    return round(megahertz * 1e6) if 0 <= megahertz <= MOST_MEGAHERTZ else None


def volts(value: float) -> float | None:
    """A voltage; None when it is none that a chip can have, or not known, which is a negative number."""
    return value if 0 <= value <= MOST_VOLTS else None
