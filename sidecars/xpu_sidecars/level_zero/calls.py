"""One device's calls into the library: which are made, and what came of them.

A call that can never work is made once; one in trouble is made more and more rarely. What results tell of the device
itself is kept for the round.
"""

from dataclasses import dataclass, field
from typing import Protocol

from xpu_shared.telemetry.kinds import Group
from xpu_sidecars.level_zero import results
from xpu_sidecars.level_zero.library import Function, enumerated
from xpu_sidecars.level_zero.results import Meaning

FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0  # seconds until a call in trouble is made again
NEVER = float("inf")
HINTS = {
    Group.ENGINE: "the container needs CAP_PERFMON or CAP_SYS_ADMIN",
    Group.POWER: "run as root, so that /sys/class/intel_pmt/telem*/telem can be read",
    Group.TEMPERATURE: "run as root, so that /sys/class/intel_pmt/telem*/telem can be read",
    Group.MEMORY: "run as root, so that /sys/class/intel_pmt/telem*/telem can be read",
}
OTHER_HINT = "run as root with CAP_SYS_ADMIN and the GPU's device files"


class Functions(Protocol):
    """A library's functions by name."""

    def __getitem__(self, symbol: str) -> Function:
        """One of them; one that is missing answers UNSUPPORTED_FEATURE."""


class DeviceLostError(Exception):
    """The device is lost; the rest of the round is left out."""


@dataclass(slots=True)
class Tally:
    """What became of one group's calls."""

    good: int = 0  # in this round
    last_error: int = results.SUCCESS  # the first one of this round
    failed_calls: int = 0  # since the start
    dropped_samples: int = 0  # since the start: values that cannot be, counters that went backwards


@dataclass(slots=True)
class _Trouble:
    code: int
    retry_at: float
    pause: float = FIRST_PAUSE


@dataclass(slots=True)
class Calls:
    library: Functions
    now: float = 0.0  # monotonic seconds of this round
    current: str = ""  # the call that is being made, for whoever finds it hanging
    answered: bool = False  # in this round, by any call
    lost: bool = False
    reset_required: bool = False
    survivability: bool = False
    tally: Tally = field(default_factory=Tally)  # of the group at work
    denied: set[str] = field(default_factory=set)  # calls without the permission
    _group: Group = Group.UNSPECIFIED
    _tallies: dict[Group, Tally] = field(default_factory=dict)
    _troubles: dict[tuple[str, int], _Trouble] = field(default_factory=dict)

    def begin_round(self, now: float) -> None:
        self.now = now
        self.answered = self.lost = self.reset_required = self.survivability = False

    def begin_group(self, group: Group) -> Tally:
        self._group = group
        self.tally = self._tallies.setdefault(group, Tally())
        self.tally.good, self.tally.last_error = 0, results.SUCCESS
        return self.tally

    def ask(self, name: str, handle: int, *arguments: object) -> bool:
        """Make a call, unless it is known to be in vain; whether it succeeded.

        Raises:
            DeviceLostError
        """
        if self._in_vain(name, handle):
            return False
        self.current = name
        code = self.library[name](handle, *arguments)
        self.current = ""
        return self._settle(name, handle, code, optional=False)

    def ask_for_more(self, name: str, handle: int, *arguments: object) -> bool:
        """As `ask`, for what many devices do not have: that is no error of the group."""
        if self._in_vain(name, handle, optional=True):
            return False
        self.current = name
        code = self.library[name](handle, *arguments)
        self.current = ""
        return self._settle(name, handle, code, optional=True)

    def enumerate(self, name: str, device: int) -> list[int] | None:
        """The handles of a device's components of one kind; None when they cannot be had now."""
        if self._in_vain(name, device):
            return None
        self.current = name
        code, handles = enumerated(self.library[name], device)
        self.current = ""
        return handles if self._settle(name, device, code, optional=False) else None

    def drop(self) -> None:
        """Count a sample that cannot be true."""
        self.tally.dropped_samples += 1

    def _in_vain(self, name: str, handle: int, *, optional: bool = False) -> bool:
        trouble = self._troubles.get((name, handle)) if self._troubles else None
        if trouble is None or self.now >= trouble.retry_at:
            return False
        if not (optional and trouble.retry_at == NEVER):
            self._failed(trouble.code)
        return True

    def _failed(self, code: int) -> None:
        if self.tally.last_error == results.SUCCESS:
            self.tally.last_error = code

    def _settle(self, name: str, handle: int, code: int, *, optional: bool) -> bool:
        if code == results.SUCCESS:
            if self._troubles:
                self._troubles.pop((name, handle), None)
            self.answered = True
            self.tally.good += 1
            return True
        meaning = results.meaning(code)
        if not (optional and meaning is Meaning.PERMANENT):
            self._failed(code)
            self.tally.failed_calls += 1
        self._judge(meaning, name, handle, code)
        return False

    def _judge(self, meaning: Meaning, name: str, handle: int, code: int) -> None:
        if meaning is Meaning.DEVICE:
            self.lost |= code == results.DEVICE_LOST
            self.reset_required |= code == results.DEVICE_REQUIRES_RESET
            self.survivability |= code == results.SURVIVABILITY_MODE_DETECTED
            if self.lost:
                raise DeviceLostError(name)
        elif meaning in (Meaning.PERMANENT, Meaning.PRIVILEGE):
            self._troubles[name, handle] = _Trouble(code, NEVER)
            if meaning is Meaning.PRIVILEGE:
                self.denied.add(f"{name}: {results.text(code)}: {HINTS.get(self._group, OTHER_HINT)}")
        elif meaning is Meaning.TROUBLE:
            trouble = self._troubles.setdefault((name, handle), _Trouble(code, self.now))
            trouble.code, trouble.retry_at = code, self.now + trouble.pause
            trouble.pause = min(2 * trouble.pause, LONGEST_PAUSE)
