"""What provisioning means to do to a device: values only."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from xpu_shared.provisioning.sysfs import Sysfs


class Result(StrEnum):
    UNCHANGED = "unchanged"  # as wished already
    CHANGE = "change"  # writes are needed
    CHANGED = "changed"
    BUSY = "busy"  # writes are needed, and somebody uses the device
    REFUSED = "refused"  # what is wished is impossible
    FAILED = "failed"  # and put back


class LayoutError(Exception):
    """A layout that cannot be used at all; one line that names the file."""


class RefusedError(Exception):
    """A device whose layout is impossible; one line that names the entry, the value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Check:
    """What is read after a write."""

    path: str
    expected: str | None  # None: only that it exists
    within: float = 0.0  # seconds that it may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    path: str  # below the root of sysfs
    value: str
    before: str  # what was read there, or of the state that it changes
    checks: tuple[Check, ...]
    busy_errno: int = 0  # the errno by which the kernel says that somebody uses the device; 0: there is none


def attribute(path: str, value: str, before: str) -> Write:
    """A write to an attribute that afterwards reads as what was written."""
    return Write(path=path, value=value, before=before, checks=(Check(path, value),))


def nothing(_: Sysfs) -> Iterator[Write]:
    yield from ()


def no_explanation(_: Sysfs, __: Write, ___: OSError | None) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Writes that succeed or are taken back together.

    Attributes:
        name: what it is about; after a failure the device's other units of that name are left out.
        undo: the writes that put back what was read before. It is read as it goes on, because what is there then
            depends on how far the writes came.
        explain: what is known of a failure besides its number; the error is None when a check failed.
        needed: whether the device's other units make no sense without it.
        look_again: whether what comes after it can only be planned when it has been done.
    """

    name: str = ""
    writes: tuple[Write, ...]
    undo: Callable[[Sysfs], Iterator[Write]] = nothing
    explain: Callable[[Sysfs, Write, OSError | None], str] = no_explanation
    needed: bool = False
    look_again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePlan:
    device: str
    result: Result
    units: tuple[Unit, ...] = ()
    messages: tuple[str, ...] = field(default=())  # each one line
    busy_is_wrong: bool = False  # whether the program ends with 1 when the device is busy

    @property
    def writes(self) -> tuple[Write, ...]:
        return tuple(write for unit in self.units for write in unit.writes)


def same(found: str, wished: str) -> bool:
    """Whether an attribute says what is wished: numbers may be spelled differently."""
    if found.strip() == wished.strip():
        return True
    try:
        return int(found, base=0) == int(wished, base=0)
    except ValueError:
        return False
