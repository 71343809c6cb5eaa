"""What a source knows of the fabric after one look, and why it knows nothing."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from xpu_shared.telemetry.fabric import Port
from xpu_shared.telemetry.readings import SourceProblem
from xpu_shared.telemetry.topology import Link, TopologyDevice

MOST_LINKS = 4096  # more are no fabric of one node


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The whole fabric. No links is a fabric too: the node has no XeLink."""

    source: str  # native or xpum-1.x
    devices: tuple[TopologyDevice, ...] = ()
    links: tuple[Link, ...] = ()
    ports: tuple[Port, ...] = ()
    problems: tuple[SourceProblem, ...] = ()
    value: str = ""  # of the label: links that count for it, joined by `_`
    errors: Mapping[str, int] = field(default_factory=Counter)  # what could not be used, by reason


class SourceError(Exception):
    """A look that told nothing. `reason` is one of few words, for counting; the text is for people.

    `empty` when the source did answer, but with nothing that could be used.
    """

    def __init__(self, reason: str, text: str, *, empty: bool = False) -> None:
        super().__init__(text)
        self.reason = reason
        self.empty = empty


Look = Reading | SourceError
Take = Callable[[Look], None]


class Source(Protocol):
    async def run(self, take: Take) -> None:
        """Look again and again until cancelled; `take` gets what each look told, on the event loop."""
