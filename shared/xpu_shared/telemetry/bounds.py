"""What a value of telemetry may be, on either side: everything else is as good as not known.

Both sides apply it: a sensor that answers NaN is not published, and a publisher that claims it is not believed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

PCI_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")
LONGEST_TEXT = 256  # bytes of UTF-8: names, versions, addresses
LONGEST_REASON = 1024  # bytes of UTF-8: errors and reasons
MOST_DEVICES = 1024
MOST_COMPONENTS = 128  # of one kind, of one device
MOST_PORTS = 256  # of one device
MOST_PROBLEMS = 256
MOST_DRIVERS = 16
COLDEST, HOTTEST = -60.0, 250.0  # °C
MOST_WATTS = 100_000.0
MOST_JOULES = 1e12
MOST_VOLTS = 1000.0
MOST_HERTZ = 10**12
LARGEST = 4 * 1024 * 1024  # bytes of a frame; 64 GPUs need less than 64 KiB
MAX_SKEW = 300.0  # seconds that the clock of another machine may differ
UINT32 = 2**32 - 1
UINT64 = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a subscriber takes of a message as a whole."""

    largest: int = LARGEST  # bytes of a frame
    max_skew: float = MAX_SKEW  # seconds


def whole(value: int | None, most: int = UINT64) -> int | None:
    """A count, None when it is none."""
    return value if value is not None and 0 <= value <= most else None


def within(value: float | None, least: float, most: float) -> float | None:
    """A measurement, None when it is not plausible; NaN never is."""
    return value if value is not None and least <= value <= most else None


def scaled(value: float | None, factor: int, least: float, most: float) -> int | None:
    """A measurement in the integer unit of the wire, None when it is not plausible."""
    return round(value * factor) if value is not None and least <= value <= most else None


def text(value: str, longest: int = LONGEST_TEXT) -> str:
    """A text that may be printed: cut after `longest` bytes, with question marks for control characters."""
    if len(value) <= longest and value.isascii() and value.isprintable():
        return value
    printable = "".join(letter if letter.isprintable() else "?" for letter in value[:longest])
    return printable.encode(errors="replace")[:longest].decode(errors="ignore")


def first(values: Sequence[T], most: int = MOST_COMPONENTS) -> Sequence[T]:
    """No more of a list than a reader takes."""
    return values if len(values) <= most else values[:most]
