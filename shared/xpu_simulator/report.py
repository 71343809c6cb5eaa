"""What a person reads while a simulation runs: one line per event, and a summary.

A line has the seconds since the start, what kind of thing happened, what it was, and the milliseconds since the
current step began.
"""

import os
import textwrap
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TextIO

from xpu_simulator.kubelet import events as kubelet

WIDTH = 100  # columns
COLOURS = {"ok": "32", "FAILED": "1;31", "note": "1", "latency": "2"}  # green, bold red, bold, dim
REPORTED_CALLS = ("GetPreferredAllocation", "Allocate", "PreStartContainer")  # others are seen by what they bring
SHOWN_IDS = 8


class Report:
    def __init__(self, out: TextIO, *, colour: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.events = self.passes = self.failures = 0
        self.worst_hot_plug: float | None = None  # seconds
        self.reader_gone: Callable[[], None] = lambda: None  # called when nobody reads what is written
        self._out = out
        self._colour = colour
        self._clock = clock
        self._started = self._step_began = clock()

    def step_begins(self) -> None:
        """Latencies count from here on."""
        self._step_began = self._clock()

    def note(self, text: str) -> None:
        self._print(f"\n{self._painted('note', text)}")

    def event(self, kind: str, text: str, *, at: float | None = None) -> None:
        """Something happened, now or at a time of the monotonic clock."""
        self.events += 1
        self._line(kind, text, self._clock() if at is None else at)

    def passed(self, text: str) -> float:
        """An expectation came true; the answer is how many seconds after the step began."""
        self.passes += 1
        now = self._clock()
        self._line("ok", text, now)
        return now - self._step_began

    def failed(self, text: str) -> None:
        self.failures += 1
        self._line("FAILED", text, self._clock())

    def details(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._print(f"{'':19}{_printable(line)}")

    def hot_plug_took(self, seconds: float) -> None:
        self.worst_hot_plug = max(seconds, self.worst_hot_plug or 0.0)

    def summary(self) -> None:
        latency = "" if self.worst_hot_plug is None else f", worst hot-plug latency {self.worst_hot_plug * 1000:.1f} ms"
        counts = f"{self.events} events, {self.passes} expectations passed, {self.failures} failed{latency}"
        verdict = self._painted("FAILED", "FAILED") if self.failures else self._painted("ok", "ok")
        self._print(f"\n{verdict}: {counts}, {self._clock() - self._started:.1f} s")

    def kubelet_event(self, event: kubelet.Event) -> None:
        """Tell what the kubelet saw."""
        match event:
            case kubelet.KubeletStarted():
                self.event("kubelet", "listens", at=event.at)
            case kubelet.KubeletStopped():
                self.event("kubelet", "is gone; its socket stays behind", at=event.at)
            case kubelet.Registration(error=""):
                self.event("register", f"{event.resource} at {event.endpoint}", at=event.at)
            case kubelet.Registration():
                self.event("refused", f"{event.resource} at {event.endpoint}: {event.error}", at=event.at)
            case kubelet.ListReceived():
                self.event("list", _listed(event), at=event.at)
            case kubelet.StreamEnded():
                self.event("lost", f"{event.resource} at {event.endpoint}: {event.reason}", at=event.at)
            case kubelet.ResourceDropped():
                self.event("dropped", f"{event.resource}: nobody registered it again", at=event.at)
            case kubelet.Call(method=method) if method in REPORTED_CALLS:
                self.event("call", f"{method} {event.resource} {_arguments(event)}", at=event.at)
            case kubelet.PodRejected():
                self.event("pod", f"{event.pod} is rejected: {event.message}", at=event.at)
            case kubelet.ContainerStartFailed():
                self.event("pod", f"{event.pod} does not start: {event.message}", at=event.at)

    def _line(self, kind: str, text: str, at: float) -> None:
        latency = f"{(at - self._step_began) * 1000:.1f} ms"
        first, *more = textwrap.wrap(_printable(text), WIDTH - 31) or [""]
        head = f"{at - self._started:7.3f}  {self._painted(kind, f'{kind:<9}')} {first:<{WIDTH - 31}}"
        self._print(f"{head} {self._painted('latency', f'{latency:>11}')}")
        self.details(more)

    def _painted(self, style: str, text: str) -> str:
        return f"\033[{COLOURS[style]}m{text}\033[0m" if self._colour and style in COLOURS else text

    def _print(self, text: str) -> None:
        try:
            print(text, file=self._out, flush=True)
        except BrokenPipeError:
            with Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), self._out.fileno())  # Python flushes it once more at exit
            self.reader_gone()


def wants_colour(out: TextIO) -> bool:
    """Colours are for terminals whose user has not said otherwise."""
    return out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def ids_text(ids: Sequence[str]) -> str:
    shown = " ".join(ids[:SHOWN_IDS])
    return shown if len(ids) <= SHOWN_IDS else f"{shown} … ({len(ids)})"


def _listed(event: kubelet.ListReceived) -> str:
    total = len(event.healthy) + len(event.unhealthy)
    unhealthy = f"; unhealthy: {ids_text(event.unhealthy)}" if event.unhealthy else ""
    return f"{event.resource}: {len(event.healthy)} of {total} healthy: {ids_text(event.healthy) or 'none'}{unhealthy}"


def _arguments(call: kubelet.Call) -> str:
    ids, *rest = call.arguments
    if rest and isinstance(ids, tuple):  # a preference: available, must include, size
        return f"{rest[-1]} of {len(ids)}"
    return ids_text(ids) if isinstance(ids, tuple) else ""


def _printable(text: str) -> str:
    """Ids and messages come from programs under test: none of their control characters reaches the terminal."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
