"""The health of an NPU: what to think of one that its driver had to reset.

The driver says so with a kernel event; sysfs shows nothing of it. An NPU that was reset works again, but one that hangs
again and again should not be given to anybody meanwhile. Values only: `now` and times are monotonic seconds.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from xpu_shared.kernel.uevents import Uevent


@dataclass(frozen=True, slots=True)
class Reset:
    devpath: str  # of the PCI function or of something below it, as kernel events have it
    at: float


@dataclass(frozen=True, slots=True)
class Resets:
    """Those of one NPU that were heard of."""

    count: int
    last: float


def is_reset(event: Uevent) -> bool:
    """What the driver intel_vpu tells when it has recovered an NPU that no longer answered."""
    return event.variables.get("IVPU_PM_EVENT") == "IVPU_RECOVER"


def counted(known: Mapping[str, Resets], heard: Iterable[Reset], functions: Collection[str]) -> dict[str, Resets]:
    """Add what was heard to what was known.

    Args:
        functions: the devpaths of the NPUs there are; what is said of others is forgotten.
    """
    resets = {function: known[function] for function in functions if function in known}
    for reset in heard:
        for function in functions:
            if f"{reset.devpath}/".startswith(f"{function}/"):
                before = resets.get(function, Resets(0, reset.at))
                resets[function] = Resets(before.count + 1, reset.at)
    return resets


def held_off_for(resets: Resets | None, *, hold_off: float, now: float) -> float:
    """Seconds for which an NPU is still not to be given to anybody; 0 when it is."""
    return 0.0 if resets is None else max(0.0, resets.last + hold_off - now)


def reason(resets: Resets) -> str:
    """Why it is unhealthy, for people."""
    times = "once" if resets.count == 1 else f"{resets.count} times"
    return f"its driver had to reset it, {times} since the plugin has started"
