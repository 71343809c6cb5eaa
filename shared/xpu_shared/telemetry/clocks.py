"""The clocks that messages are stamped with."""

import time
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """The id of this boot of the machine, the same in all containers; "unknown" where the kernel does not tell."""
    try:
        return BOOT_ID.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return "unknown"


def start_sequence() -> int:
    """The first sequence number of a publisher that starts now: microseconds since boot, so a later start has more."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
