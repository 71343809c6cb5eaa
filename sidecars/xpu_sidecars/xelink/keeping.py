"""What is shown of a source that may fall silent: its newest reading for a while, then that nothing is known.

A state machine over looks and time: nothing flaps, and labels become the empty ones once.
"""

from dataclasses import dataclass

from xpu_shared.telemetry.topology import TopologySnapshot, TopologyState
from xpu_sidecars.xelink.reading import Reading, SourceError


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    reading: Reading | None = None  # None: nothing is known
    reason: str = ""  # what is wrong with the source now; empty: nothing
    decided: bool = False  # labels can be written; until then those there are stay as they are

    @property
    def value(self) -> str:
        """Of the label."""
        return self.reading.value if self.reading else ""


class Keeper:
    """Times are monotonic seconds; `keep_last` is how long the newest reading counts after its source fell silent."""

    def __init__(self, keep_last: float, now: float) -> None:
        self.shown = Shown(reason="starting")
        self._keep_last = keep_last
        self._good_at = now  # when the source was last well; at first our own start

    def good(self, reading: Reading, now: float) -> None:
        self._good_at = now
        self.shown = Shown(reading=reading, decided=True)

    def failed(self, error: SourceError, now: float) -> None:
        last = self.shown
        decided = last.decided or error.empty  # a first look at a source that has nothing to tell
        self.shown = Shown(reading=last.reading, reason=str(error), decided=decided)
        self.look(now)

    def look(self, now: float) -> bool:
        """Notice that time has passed; whether something is shown differently because of it."""
        last = self.shown
        if not last.reason or now < self.expires_at or (last.reading is None and last.decided):
            return False
        self.shown = Shown(reason=last.reason, decided=True)
        return True

    @property
    def expires_at(self) -> float:
        """When what is shown ends, unless the source comes back."""
        return self._good_at + self._keep_last


def snapshot(shown: Shown, labels: tuple[str, ...]) -> TopologySnapshot:
    """What is published; `labels` are lines."""
    reading = shown.reading
    if reading is None:
        return TopologySnapshot(state=TopologyState.UNKNOWN, reason=shown.reason, labels=labels)
    return TopologySnapshot(
        source=reading.source,
        state=TopologyState.OK if reading.links else TopologyState.NONE,
        reason=shown.reason,
        devices=reading.devices,
        links=reading.links,
        ports=reading.ports,
        problems=reading.problems,
        labels=labels,
    )
