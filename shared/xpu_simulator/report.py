"""What happens while a simulation runs, for a person: each event with its times, and a summary.

How it looks is the page's matter: lines (`lines.py`) or a live view (`live.py`).
"""

import time
from collections.abc import Callable, Iterable, Sequence

from xpu_simulator.kubelet import events as kubelet
from xpu_simulator.page import Entry, Page

REPORTED_CALLS = ("GetPreferredAllocation", "Allocate", "PreStartContainer")  # others are seen by what they bring
SHOWN_IDS = 8


class Report:
    def __init__(self, page: Page, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.events = self.passes = self.failures = 0
        self.worst_hot_plug: float | None = None  # seconds
        self._page = page
        self._clock = clock
        self._started = self._step_began = clock()

    def step_begins(self) -> None:
        """Latencies count from here on."""
        self._step_began = self._clock()

    def note(self, text: str) -> None:
        self._page.note(text)

    def event(self, kind: str, text: str, *, at: float | None = None) -> None:
        """Something happened, now or at a time of the monotonic clock."""
        self.events += 1
        self._entry(kind, text, self._clock() if at is None else at)

    def passed(self, text: str) -> float:
        """An expectation came true; the answer is how many seconds after the step began."""
        self.passes += 1
        now = self._clock()
        self._entry("ok", text, now)
        return now - self._step_began

    def failed(self, text: str) -> None:
        self.failures += 1
        self._entry("FAILED", text, self._clock())

    def details(self, lines: Iterable[str]) -> None:
        self._page.details(lines)

    def hot_plug_took(self, seconds: float) -> None:
        self.worst_hot_plug = max(seconds, self.worst_hot_plug or 0.0)

    def summary(self) -> None:
        latency = "" if self.worst_hot_plug is None else f", worst hot-plug latency {self.worst_hot_plug * 1000:.1f} ms"
        counts = f"{self.events} events, {self.passes} expectations passed, {self.failures} failed{latency}"
        text = f"{counts}, {self._clock() - self._started:.1f} s"
        self._page.summary(text, failed=self.failures > 0)

    def kubelet_event(self, event: kubelet.Event) -> None:
        """Tell what the kubelet saw."""
        match event:
            case kubelet.KubeletStarted():
                self.event("kubelet", "listens", at=event.at)
            case kubelet.KubeletStopped():
                self.event("kubelet", "is gone; its socket stays behind", at=event.at)
            case kubelet.Registration(error=""):
                self.event("register", f"{event.resource} at {_place(event)}", at=event.at)
            case kubelet.Registration():
                self.event("refused", f"{event.resource} at {_place(event)}: {event.error}", at=event.at)
            case kubelet.ListReceived():
                self.event("list", _listed(event), at=event.at)
            case kubelet.StreamEnded():
                self.event("lost", f"{event.resource} at {event.endpoint}: {event.reason}", at=event.at)
            case kubelet.ResourceDropped():
                self.event("dropped", f"{event.resource}: nobody registered it again", at=event.at)
            case kubelet.Call(method=method) if method in REPORTED_CALLS:
                self.event("call", f"{method} {event.resource} {_arguments(event)}", at=event.at)
            case kubelet.Deregistration():
                self.event("gone", f"{event.resource} at {event.endpoint} from plugins_registry", at=event.at)
            case kubelet.CheckpointFailed():
                self.event("kubelet", event.message, at=event.at)
            case kubelet.NodeRebooted():
                self.event("node", "reboots", at=event.at)
            case _:
                self._pod_event(event)

    def _pod_event(self, event: kubelet.Event) -> None:
        match event:
            case kubelet.PodAdmitted(again=True):
                ids = " ".join(ids_text(ids) for ids in event.devices.values())
                self.event("pod", f"{event.pod} is admitted again with {ids}", at=event.at)
            case kubelet.PodRejected():
                self.event("pod", f"{event.pod} is rejected: {event.message}", at=event.at)
            case kubelet.ContainerStartFailed():
                self.event("pod", f"{event.pod} does not start: {event.message}", at=event.at)

    def _entry(self, kind: str, text: str, at: float) -> None:
        self._page.entry(Entry(at=at - self._started, kind=kind, text=text, latency=at - self._step_began))


def _place(event: kubelet.Registration) -> str:
    return f"plugins_registry/{event.endpoint}" if event.registry else event.endpoint


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
