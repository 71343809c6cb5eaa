"""Where a report is written: what each kind of page has to do, and what no page may show."""

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from xpu_simulator.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened."""

    at: float  # seconds since the start
    kind: str
    text: str
    latency: float  # seconds since the current step began


class Page(Protocol):
    reader_gone: Callable[[], None]  # called when nobody reads what is written

    def entry(self, entry: Entry) -> None: ...

    def details(self, lines: Iterable[str]) -> None:
        """More about the last entry."""

    def note(self, text: str) -> None:
        """Tell what comes next."""

    def output(self, name: str, line: str) -> None:
        """A line that a plugin has written."""

    def summary(self, text: str, *, failed: bool) -> None: ...

    def showing(self, status: Callable[[], Status]) -> AbstractAsyncContextManager[None]:
        """Show the state of things as long as the block lasts, if that is what the page does."""


def printable(text: str) -> str:
    """Ids and messages come from programs under test: none of their control characters reaches the terminal."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
