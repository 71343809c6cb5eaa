"""Devices that leave service or return to it, and how that is told in a few sentences. Functions of values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest

from xpu_shared.device import Device, Health

SHOWN = 8  # devices, and reasons, that one notice names
MOST_APART = 4  # notices of one resource at once, beyond which there is one for all of them
LONGEST = 1000  # characters of a notice; the API server takes 1,024


@dataclass(frozen=True, slots=True, order=True)
class Turn:
    """A device that is healthy now and was not, or the other way round."""

    resource: str
    device: str
    healthy: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """What people are told of one or more turns."""

    healthy: bool
    text: str


def turns(resource: str, before: Mapping[str, Device], after: Mapping[str, Device]) -> list[Turn]:
    """Which devices have turned. New ones that are healthy have, unless they are the first of their resource."""
    return [
        Turn(resource, id_, device.health is Health.HEALTHY, device.reason)
        for id_, device in after.items()
        if (before[id_].health is not device.health if id_ in before else _is_news(device, before))
    ]


def _is_news(device: Device, before: Mapping[str, Device]) -> bool:
    return bool(before) or device.health is not Health.HEALTHY


class Pending:
    """Turns that nobody has been told of. A device that turns back in the meantime is not worth telling."""

    def __init__(self) -> None:
        self._turns: dict[tuple[str, str], Turn] = {}

    def add(self, new: Iterable[Turn]) -> None:
        for turn in new:
            earlier = self._turns.pop((turn.resource, turn.device), None)
            if earlier is None or earlier.healthy == turn.healthy:
                self._turns[turn.resource, turn.device] = turn

    def __bool__(self) -> bool:
        return bool(self._turns)

    def take(self) -> list[Notice]:
        """All of them as notices, which forgets them."""
        found, self._turns = list(self._turns.values()), {}
        return notices(found)


def notices(found: Sequence[Turn]) -> list[Notice]:
    """One notice for devices of a resource that turn for the same reason, as shares of one piece of hardware do.

    Where there would be many of them there is one.
    """
    by_direction: dict[tuple[str, bool], dict[str, list[str]]] = {}
    for turn in found:
        by_reason = by_direction.setdefault((turn.resource, turn.healthy), {})
        by_reason.setdefault("" if turn.healthy else turn.reason, []).append(turn.device)
    made: list[Notice] = []
    for (resource, healthy), by_reason in sorted(by_direction.items()):
        groups = list(by_reason.items())
        if len(groups) > MOST_APART:
            reasons = "; ".join(nsmallest(SHOWN, by_reason.keys() - {""}))
            groups = [(reasons, [device for devices in by_reason.values() for device in devices])]
        made += [_notice(resource, healthy, reason, devices) for reason, devices in groups]
    return made


def _notice(resource: str, healthy: bool, reason: str, devices: Sequence[str]) -> Notice:
    shown = nsmallest(SHOWN, devices)
    more = f" and {len(devices) - len(shown)} more" if len(devices) > len(shown) else ""
    verb = "is" if len(devices) == 1 else "are"
    state = "healthy" if healthy else "unhealthy"
    text = f"{resource}: {', '.join(shown)}{more} {verb} {state}" + (f": {reason}" if reason and not healthy else "")
    return Notice(healthy=healthy, text=text if len(text) <= LONGEST else text[: LONGEST - 1] + "\u2026")
