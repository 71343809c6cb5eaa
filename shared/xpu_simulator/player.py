"""Plays a scenario: does what each step says, then waits for what is expected of it."""

import asyncio
import time

from xpu_simulator.actions import Actions, outcome
from xpu_simulator.errors import ImpossibleError
from xpu_simulator.exports import Exports
from xpu_simulator.kubelet.pods import AdmissionError
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.report import Report, ids_text
from xpu_simulator.scenario import Counts, RunPod, Scenario, Show, Step


class Player:
    def __init__(self, actions: Actions, kubelet: SimulatedKubelet, report: Report, exports: Exports) -> None:
        self._actions = actions
        self._kubelet = kubelet
        self._report = report
        self._exports = exports

    async def play(self, scenario: Scenario) -> None:
        for step in scenario.steps:
            await self.play_step(step)

    async def play_step(self, step: Step) -> None:
        if step.note:
            self._report.note(step.note)
        if step.pause_seconds is not None:
            await asyncio.sleep(step.pause_seconds)
        else:
            self._report.step_begins()
        deadline = time.monotonic() + step.within_seconds
        try:
            await self._act(step)
        except ImpossibleError as error:
            self._report.failed(str(error))
        for resource, counts in step.expect.items():
            await self._expect(resource, counts, deadline, hot_plug=step.hot_plug)
        if step.show:
            await self._show(step.show, within=max(deadline - time.monotonic(), 0.0))

    async def _act(self, step: Step) -> None:
        if step.run_pod:
            await self._run_pod(step.run_pod)
        else:
            await self._actions.act(step)

    async def _show(self, wanted: Show, *, within: float) -> None:
        metrics = await self._exports.metrics(wanted.metrics, within=within)
        missing = [beginning for beginning in wanted.metrics if not any(line.startswith(beginning) for line in metrics)]
        labels = self._exports.labels() if wanted.labels else []
        if missing:
            self._report.failed(f"no metrics page has {', '.join(missing)}")
        if wanted.labels and not labels:
            self._report.failed("no program has written node labels")
        if metrics or labels:
            told = [f"{len(metrics)} metrics"] if metrics else []
            self._report.event("shows", " and ".join([*told, *([f"{len(labels)} node labels"] if labels else [])]))
            self._report.details([*metrics, *labels])

    async def _run_pod(self, wanted: RunPod) -> None:
        try:
            pod = await self._actions.admit(wanted)
        except AdmissionError as error:
            rejection = f"pod {wanted.name} is rejected"
            if wanted.rejected:
                self._report.passed(rejection)
            else:
                self._report.failed(f"{rejection}: {error.message}")
            return
        got = sorted(id_ for ids in pod.devices.values() for id_ in ids)
        if wanted.gets is not None and pod.running and got != sorted(wanted.gets):
            self._report.failed(f"{outcome(pod)}, expected {ids_text(wanted.gets)}")
        elif pod.running and not wanted.rejected:
            self._report.passed(outcome(pod))
        else:
            self._report.failed(f"{outcome(pod)} {pod.message}")
        self._report.details(self._actions.given(pod))

    async def _expect(self, resource: str, counts: Counts, deadline: float, *, hot_plug: bool) -> None:
        def matches() -> bool:
            listed = self._kubelet.resources[resource]
            return counts.allocatable in (None, listed.allocatable) and counts.capacity in (None, listed.capacity)

        try:
            await self._kubelet.wait_until(matches, timeout=max(deadline - time.monotonic(), 0.0))
        except TimeoutError:
            listed = self._kubelet.resources[resource]
            found = _counts_text(listed.allocatable, listed.capacity)
            self._report.failed(f"{resource}: {found}, expected {_counts_text(counts.allocatable, counts.capacity)}")
        else:
            took = self._report.passed(f"{resource}: {_counts_text(counts.allocatable, counts.capacity)}")
            if hot_plug:
                self._report.hot_plug_took(took)


def _counts_text(allocatable: int | None, capacity: int | None) -> str:
    if allocatable is None:
        return f"{capacity} in all"
    return f"{allocatable} allocatable" if capacity is None else f"{allocatable} of {capacity} allocatable"
