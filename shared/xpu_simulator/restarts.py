"""Starts containers once more that did not start, as kubelets do: after 10 seconds, then twice as long each time."""

import asyncio

from xpu_simulator.errors import ImpossibleError
from xpu_simulator.kubelet.events import (
    ContainerStarted,
    ContainerStartFailed,
    Event,
    NodeRebooted,
    PodDeleted,
    PodRejected,
)
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.report import Report

FIRST_WAIT, LONGEST_WAIT = 10.0, 300.0  # seconds


class Restarts:
    """Works as long as the event loop; a stopped kubelet starts nothing, but is asked again."""

    def __init__(self, kubelet: SimulatedKubelet, report: Report, *, first_wait: float = FIRST_WAIT) -> None:
        self._kubelet = kubelet
        self._report = report
        self._first_wait = first_wait
        self._waits: dict[str, float] = {}  # seconds until the next attempt, by pod
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._starting: set[asyncio.Task[None]] = set()
        kubelet.events.subscribe(self._see)

    def _see(self, event: Event) -> None:
        match event:
            case ContainerStartFailed():
                self._schedule(event.pod)
            case ContainerStarted() | PodDeleted() | PodRejected():
                self._forget(event.pod)
            case NodeRebooted():  # all pods are admitted and started anew
                for pod in tuple(self._waits):
                    self._forget(pod)

    def _schedule(self, pod: str) -> None:
        if timer := self._timers.pop(pod, None):
            timer.cancel()
        wait = self._waits.get(pod, self._first_wait)
        self._waits[pod] = min(2 * wait, LONGEST_WAIT)
        self._timers[pod] = asyncio.get_running_loop().call_later(wait, self._begin, pod)

    def _forget(self, pod: str) -> None:
        self._waits.pop(pod, None)
        if timer := self._timers.pop(pod, None):
            timer.cancel()

    def _begin(self, pod: str) -> None:
        self._timers.pop(pod, None)
        starting = asyncio.create_task(self._start(pod))
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)

    async def _start(self, pod: str) -> None:
        try:
            started = await self._kubelet.start_container(pod)
        except ImpossibleError:
            if pod in self._kubelet.pods:  # the kubelet is stopped
                self._schedule(pod)
        else:
            if started.running:
                self._report.event("pod", f"{pod} runs now")
