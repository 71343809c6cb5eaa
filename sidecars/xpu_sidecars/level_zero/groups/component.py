"""What the groups share: components of one kind, found once and described once, then read again and again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from xpu_sidecars.level_zero.calls import Calls
from xpu_sidecars.level_zero.formulas import Sample


@dataclass(frozen=True, slots=True)
class DeviceHandle:
    """One of the handles by which the library knows a device: its root, or a tile where there is no root."""

    handle: int
    subdevice: int | None = None  # the tile's number


class Located(Protocol):
    """A structure that says where a component sits."""

    onSubdevice: int  # noqa: N815 - the name in the header
    subdeviceId: int  # noqa: N815


class Component(Protocol):
    described: bool  # what does not change is known

    def describe(self, calls: Calls) -> bool:
        """Learn what does not change; whether that worked."""


C = TypeVar("C", bound=Component)
K = TypeVar("K")
V = TypeVar("V")


class Components(Generic[C]):
    """The components of one kind of a device."""

    def __init__(self, enumeration: str, devices: Sequence[DeviceHandle], make: Callable[[int, int | None], C]) -> None:
        self._enumeration = enumeration
        self._devices = devices
        self._make = make
        self._found: list[C] | None = None

    def ready(self, calls: Calls) -> list[C]:
        """Those that are described; what fails now is tried again when the policy of `calls` allows."""
        return [component for component in self.all(calls) if component.described]

    def all(self, calls: Calls) -> list[C]:
        """Those that are not described too, for what can be read without."""
        if self._found is None:
            self._found = self._find(calls)
        for component in self._found or ():
            if not component.described:
                component.describe(calls)
        return self._found or []

    def _find(self, calls: Calls) -> list[C] | None:
        found = []
        for device in self._devices:
            handles = calls.enumerate(self._enumeration, device.handle)
            if handles is None:
                return None
            found += [self._make(handle, device.subdevice) for handle in handles]
        return found


class Rate(Generic[V]):
    """What a formula makes of a counter and the one before."""

    def __init__(self, formula: Callable[[Sample, Sample | None], V | None]) -> None:
        self._formula = formula
        self._last: Sample | None = None

    def of(self, calls: Calls, count: int, timestamp: int) -> V | None:
        """None the first time, when no time has passed, and when the counter was reset, which is counted."""
        new = Sample(count, timestamp)
        old, self._last = self._last, new
        value = self._formula(new, old)
        if value is None and old is not None and new.timestamp != old.timestamp:
            calls.drop()
        return value


def place(properties: Located, device: int | None) -> int | None:
    """The tile a component sits on, None for the whole device."""
    return properties.subdeviceId if properties.onSubdevice else device


def kind_of(kinds: Sequence[K], number: int, unknown: K) -> K:
    """The word for a number of the library's; newer drivers may have numbers without one."""
    return kinds[number] if 0 <= number < len(kinds) else unknown
