"""Plays a scenario: does what each step says, then waits for what is expected of it."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

from xpu_shared.device import Allocation
from xpu_simulator.errors import ImpossibleError
from xpu_simulator.kubelet.pods import AdmissionError
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.report import Report, ids_text
from xpu_simulator.scenario import Counts, RunPod, Scenario, Step
from xpu_simulator.simulated_node import SimulatedNode


class Player:
    def __init__(self, node: SimulatedNode, kubelet: SimulatedKubelet, report: Report) -> None:
        self._node = node
        self._kubelet = kubelet
        self._report = report

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
            await self._expect(resource, counts, deadline, hot_plug=step.gpu is not None)

    async def _act(self, step: Step) -> None:
        if step.add_gpu:
            self._node.add(step.add_gpu)
            self._hardware_changed("add", f"{step.add_gpu} is plugged in")
        elif step.remove_gpu:
            self._node.remove(step.remove_gpu)
            self._hardware_changed("remove", f"{step.remove_gpu} is pulled out")
        elif step.rebind_gpu:
            self._node.rebind(step.rebind_gpu.gpu, step.rebind_gpu.driver)
            self._hardware_changed("rebind", f"{step.rebind_gpu.gpu} has driver {step.rebind_gpu.driver} now")
        elif step.kubelet:
            await self._change_kubelet(step.kubelet)
        elif step.run_pod:
            await self._run_pod(step.run_pod)
        elif step.delete_pod:
            self._kubelet.delete(step.delete_pod)
            self._report.event("pod", f"{step.delete_pod} is deleted, its devices are free")

    def _hardware_changed(self, kind: str, text: str) -> None:
        deaf = [path.name for path in self._node.deaf]
        self._report.event(kind, f"{text}; nobody took its events from {', '.join(deaf)}" if deaf else text)

    async def _change_kubelet(self, what: str) -> None:
        if what != "start":
            await self._kubelet.stop()
        if what != "stop":
            await self._kubelet.start()

    async def _run_pod(self, wanted: RunPod) -> None:
        try:
            pod = await self._kubelet.admit(wanted.name, wanted.resources)
        except AdmissionError as error:
            outcome = f"pod {wanted.name} is rejected"
            if wanted.rejected:
                self._report.passed(outcome)
            else:
                self._report.failed(f"{outcome}: {error.message}")
            return
        ids = " ".join(ids_text(ids) for ids in pod.devices.values())
        outcome = f"pod {pod.name} {'runs' if pod.running else 'does not run'} with {ids}"
        if pod.running and not wanted.rejected:
            self._report.passed(outcome)
        else:
            self._report.failed(f"{outcome} {pod.message}")
        self._report.details(_given(pod.given, self._node.tree.root))

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


def _given(given: Allocation, root: Path) -> Iterator[str]:
    """What the container runtime is told; host paths below the simulated root are those of the node."""
    for node in given.nodes:
        yield f"device {_path(node.container_path, node.host_path, root)} {node.permissions}"
    for mount in given.mounts:
        yield f"mount  {_path(mount.container_path, mount.host_path, root)} {'ro' if mount.read_only else 'rw'}"
    yield from (f"env    {name}={value}" for name, value in given.envs.items())
    yield from (f"note   {name}={value}" for name, value in given.annotations.items())
    yield from (f"CDI    {name}" for name in given.cdi_names)


def _path(container_path: str, host_path: str, root: Path) -> str:
    same = host_path.removeprefix(str(root)) == container_path
    return container_path if same else f"{container_path} from {host_path}"
