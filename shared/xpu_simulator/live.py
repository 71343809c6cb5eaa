"""The report as a view of the whole terminal: the state of things above, the last events below."""

import asyncio
import signal
import textwrap
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from xpu_simulator import panels
from xpu_simulator.lines import Lines
from xpu_simulator.page import Entry, printable
from xpu_simulator.screen import Screen, in_background
from xpu_simulator.status import Status
from xpu_simulator.workspace import Workspace

SHORTEST_PAUSE = 0.1  # seconds between two pictures
PAUSE_IN_BACKGROUND = 0.5  # seconds between two looks whether the terminal may be had again
KEPT = 200  # lines of events, more than terminals have
LONGEST_LATENCY = 60.0  # seconds; what happens later has nothing to do with the last command
STYLES = {"ok": "green", "FAILED": "bold red", "note": "bold"}
HINT = "Ctrl-C ends. In another terminal: xpu-simulator status, add, remove, rebind, kubelet, pod, reboot"


class LiveView:
    """Shows itself between the beginning and the end of `showing`.

    What comes later is written as lines; failures that were only in the view are among them.
    """

    def __init__(self, terminal: TextIO, lines: Lines, workspace: Workspace) -> None:
        self._terminal = terminal
        self._console = Console(file=terminal)
        self._lines = lines
        self._workspace = workspace
        self._events: deque[Text] = deque(maxlen=KEPT)
        self._failures: list[tuple[Entry, list[str]]] = []
        self._detailed: list[str] = []  # what details are added to
        self._over = False
        self._changed = asyncio.Event()

    @property
    def reader_gone(self) -> Callable[[], None]:
        return self._lines.reader_gone

    @reader_gone.setter
    def reader_gone(self, call: Callable[[], None]) -> None:
        self._lines.reader_gone = call

    def entry(self, entry: Entry) -> None:
        if self._over:
            self._lines.entry(entry)
            return
        self._detailed = []
        if entry.kind == "FAILED":
            self._failures.append((entry, self._detailed))
        for line in _event(entry, self._console.width):
            self._add(line)

    def details(self, lines: Iterable[str]) -> None:
        if self._over:
            self._lines.details(lines)
            return
        for line in lines:
            self._detailed.append(line)
            self._add(Text(f"{'':19}{printable(line)}", style="dim"))

    def note(self, text: str) -> None:
        self._add(Text(text, style="bold"))

    def output(self, name: str, line: str) -> None:
        self._add(Text(f"{'':19}{name} | {printable(line)}", style="dim"))

    def summary(self, text: str, *, failed: bool) -> None:
        self._lines.summary(text, failed=failed)

    @asynccontextmanager
    async def showing(self, status: Callable[[], Status]) -> AsyncGenerator[None]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGWINCH, self._changed.set)
        live = Live(
            console=self._console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        screen = Screen(self._terminal, live, self._workspace, again=self._changed.set)
        painting = asyncio.create_task(self._paint(screen, live, status))
        try:
            yield
        finally:
            painting.cancel()
            await asyncio.gather(painting, return_exceptions=True)
            loop.remove_signal_handler(signal.SIGWINCH)
            self._over = True
            for entry, details in self._failures:
                self._lines.entry(entry)
                self._lines.details(details)

    async def _paint(self, screen: Screen, live: Live, status: Callable[[], Status]) -> None:
        """A picture at once and whenever something has changed, but not all the time."""
        try:
            while True:
                self._changed.clear()
                while not screen.taken:
                    if in_background(self._terminal):  # after Ctrl-Z and `bg`: nobody tells when it is over
                        await asyncio.sleep(PAUSE_IN_BACKGROUND)
                    else:
                        screen.take()
                live.update(self._picture(status()), refresh=True)
                await asyncio.sleep(SHORTEST_PAUSE)
                await self._changed.wait()
        except OSError:  # the terminal has gone
            self.reader_gone()
        finally:
            screen.give_back()

    def _picture(self, status: Status) -> Group:
        width, height = self._console.size
        head: list[RenderableType] = [
            panels.headline(status),
            *panels.hardware(status),
            Text(),
            panels.resources(status),
            Text(),
        ]
        used = 4 + len(status.hardware) + len(status.resources)
        devices = panels.devices(status, width=width, height=max((height - used) // 2, 2))
        used += 1 + devices.row_count + (devices.caption is not None)
        room = max(height - used - 3, 0)
        events = list(self._events)[-room:] if room else []
        filling = [Text()] * (room - len(events))
        hint = Text(HINT, style="dim", no_wrap=True, overflow="ellipsis")
        return Group(*head, devices, Text("\nEVENTS", style="bold"), *events, *filling, hint)

    def _add(self, line: Text) -> None:
        line.no_wrap, line.overflow = True, "ellipsis"
        self._events.append(line)
        self._changed.set()


def _event(entry: Entry, width: int) -> Iterator[Text]:
    latency = f"{entry.latency * 1000:.1f} ms" if entry.latency < LONGEST_LATENCY else ""
    room = max(width - 31, 1)
    first, *more = textwrap.wrap(printable(entry.text), room) or [""]
    kind = (f"{entry.kind:<9}", STYLES.get(entry.kind, ""))
    yield Text.assemble(f"{entry.at:7.3f}  ", kind, f" {first:<{room}}", (f" {latency:>11}", "dim"))
    yield from (Text(f"{'':19}{line}") for line in more)
