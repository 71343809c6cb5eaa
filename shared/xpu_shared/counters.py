"""What the framework counts. Plain numbers: they cost nothing when nobody asks for metrics.

Written on the event loop only; a metrics page may read them from its own thread.
"""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds


@dataclass(slots=True)
class Durations:
    """A histogram of durations in seconds; `counts` has one place more than `BOUNDS`, for all above."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class ResourceCounters:
    """Of one resource, e.g. `dsa.intel.com/wq-user-shared`."""

    lists_sent: int = 0
    lists_refused: int = 0  # too large for the kubelet
    streams_open: int = 0
    registered: bool = False
    registrations: Counter[str] = field(default_factory=Counter)  # by cause
    registration_failures: int = 0
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)  # by method and gRPC status
    durations: dict[str, Durations] = field(default_factory=dict)  # by method

    def called(self, method: str, code: str, seconds: float) -> None:
        self.calls[method, code] += 1
        self.durations.setdefault(method, Durations()).add(seconds)


@dataclass(slots=True)
class ScanCounters:
    """Of one plugin."""

    durations: Durations = field(default_factory=Durations)
    errors: int = 0
    last_success: float = 0.0  # Unix time; 0: never
    nothing_there: bool = False  # the directory of its devices is absent: there is nothing to wait for
    problems: int = 0  # of the last scan, without expected ones
    cdi_errors: int = 0


@dataclass(slots=True)
class EventCounters:
    """Of the process: kernel events by source, and those that could not be used by reason."""

    received: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
