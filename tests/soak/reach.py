"""How far the Level-Zero sidecar may be behind: of which GPUs it may say nothing, or something old, and until when.

Times are monotonic seconds. What is promised about each is in docs/level-zero-sidecar.md.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

FOUND_AGAIN = 50.0  # after the last hot-plug all GPUs are found: not twice within 30 s
RECOVERED = 150.0  # after a crash of the driver the other GPUs are read: two pauses of at most 60 s, and two starts


@dataclass
class Reach:
    _lost: set[str] = field(default_factory=set)  # plugged in or out since the driver was asked last
    _found_at: float = 0.0
    _alone: set[str] = field(default_factory=set)  # whose calls have hung or crashed: no news before a new start
    _recovered_at: float = 0.0

    def sure(self, name: str, now: float) -> bool:
        """Whether what is true of a GPU is known."""
        return self.calm(name, now) and not (name in self._lost and now < self._found_at)

    def calm(self, name: str, now: float) -> bool:
        """Whether nothing is said of it any more once the kernel does not have it."""
        return name not in self._alone and now >= self._recovered_at

    def settled_at(self) -> float:
        """When nothing is a matter of time any more."""
        return max(self._found_at if self._lost else 0.0, self._recovered_at)

    def replugged(self, name: str, now: float, *, crashing: bool) -> None:
        """`crashing`: a GPU that crashes the driver is among those that are found now."""
        self._lost.add(name)
        self._found_at = now + FOUND_AGAIN
        if crashing:
            self._recovered_at = now + RECOVERED

    def troubled(self, name: str, now: float, *, crashing: bool) -> None:
        """Its calls hang or crash, or did so until now."""
        self._alone.add(name)
        if crashing:
            self._recovered_at = now + RECOVERED

    def restarted(self, now: float, troubled: Collection[str]) -> None:
        """The sidecar asks the driver anew, at once; some GPUs are in trouble still."""
        self._found_at = self._recovered_at = now
        self._alone = set(troubled)

    def seen(self, now: float) -> None:
        """All was seen to be as it has to be."""
        if now >= self._found_at:
            self._lost.clear()
