"""The report as lines.

A line has the seconds since the start, what kind of thing happened, what it was, and the milliseconds since the
current step began.
"""

import os
import sys
import textwrap
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TextIO

from xpu_simulator.page import Entry, printable
from xpu_simulator.status import Status

WIDTH = 100  # columns
COLOURS = {"ok": "32", "FAILED": "1;31", "note": "1", "latency": "2"}  # green, bold red, bold, dim


class Lines:
    def __init__(self, out: TextIO, *, colour: bool) -> None:
        self.reader_gone: Callable[[], None] = lambda: None
        self._out = out
        self._colour = colour

    def entry(self, entry: Entry) -> None:
        latency = f"{entry.latency * 1000:.1f} ms"
        first, *more = textwrap.wrap(printable(entry.text), WIDTH - 31) or [""]
        head = f"{entry.at:7.3f}  {self._painted(entry.kind, f'{entry.kind:<9}')} {first:<{WIDTH - 31}}"
        self._print(f"{head} {self._painted('latency', f'{latency:>11}')}")
        self.details(more)

    def details(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._print(f"{'':19}{printable(line)}")

    def note(self, text: str) -> None:
        self._print(f"\n{self._painted('note', text)}")

    def output(self, name: str, line: str) -> None:
        print(f"{name} | {line}", file=sys.stderr, flush=True)

    def summary(self, text: str, *, failed: bool) -> None:
        verdict = "FAILED" if failed else "ok"
        self._print(f"\n{self._painted(verdict, verdict)}: {text}")

    @asynccontextmanager
    async def showing(self, _status: Callable[[], Status]) -> AsyncGenerator[None]:
        yield

    def _painted(self, style: str, text: str) -> str:
        return f"\033[{COLOURS[style]}m{text}\033[0m" if self._colour and style in COLOURS else text

    def _print(self, text: str) -> None:
        try:
            print(text, file=self._out, flush=True)
        except OSError:  # a pipe's reader has gone, or the terminal
            with Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), self._out.fileno())  # Python flushes it once more at exit
            self.reader_gone()


def wants_colour(out: TextIO) -> bool:
    """Colours are for terminals whose user has not said otherwise."""
    return out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
