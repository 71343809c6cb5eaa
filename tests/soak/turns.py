"""What happens to a machine: in each turn a few things at random, then a quiet point at which all has to be right."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from soak.machine import Machine
from soak.said import labels, wrong_labels, wrong_on_page, wrong_reasons
from soak.truth import HEALTHY, UNHEALTHY, Truth, differences
from soak.usage import Usage
from xpu_simulator.device import SimulatedDevice
from xpu_simulator.families.gpu.device import Gpu
from xpu_simulator.kubelet.pods import AdmissionError
from xpu_simulator.level_zero.faults import WELL, Fault
from xpu_simulator.scenario import Action, FaultOfGpu, Rebind, RunPod

PATIENCE = 20.0  # seconds from the last thing that happens until all has to be right; holders are asked for every 10 s
LOOK = 0.1  # seconds between two looks
MOST_AT_ONCE = 4  # things that happen in a turn
SETTLED = 80  # turns after which nothing happens until nothing is a matter of time any more
MOST_PODS = 5
FAULTS = (
    Fault(temperature=112),
    Fault(temperature=88),
    Fault(memory_health="critical"),
    Fault(memory_health="replace"),
    Fault(memory_health="degraded"),
    Fault(bus=True),
    Fault(wedged=True),
    Fault(lost=True),
)
TROUBLES = (Fault(hang=True), Fault(crash=True))
LONGEST_TROUBLE = 100.0  # seconds: devices are enumerated again after 300, which begins it anew
SLACK = 10.0  # seconds: twice the time between two looks at the file
LABELS_LAST = 600.0  # seconds; those that have less than half of it left are written again
JUMPS = (0, 3600, -3600, 86_400 * 400, -86_400 * 400)  # seconds


@dataclass
class Turns:
    """`sidecar` is None on a machine without one."""

    machine: Machine
    truth: Truth
    random: Random
    plugin: str
    sidecar: str | None
    usage: Usage = field(default_factory=Usage)
    done: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0  # seconds from the last thing of a turn until all was right
    failures: list[str] = field(default_factory=list)
    _at_the_end: list[Callable[[], Awaitable[None]]] = field(default_factory=list)  # of this turn
    _pods: int = 0
    _turn: int = 0
    _gpus: Mapping[str, Gpu] = field(default_factory=dict)  # all that the node ever has
    _troubled_since: float = 0.0

    async def play(self, until: float, *, restarts_until: float) -> None:
        """Until a time of the monotonic clock, or a failure; what makes programs start anew is in the first part."""
        self._gpus = {name: device for name, device in self.truth.present.items() if isinstance(device, Gpu)}
        await self._quiet("the start")
        await self._turns(restarts_until, restarts=True)
        if not self.failures:
            await self._repair()
            await self._quiet("the end of the restarts", settle=True)
        await self._turns(until, restarts=False)
        if not self.failures:
            await self._quiet("the end", settle=True)

    async def _turns(self, until: float, *, restarts: bool) -> None:
        while time.monotonic() < until and not self.failures:
            self._turn += 1
            for _ in range(self.random.randint(1, MOST_AT_ONCE)):
                await self._one(restarts=restarts)
            for end in self._at_the_end:
                await end()
            self._at_the_end.clear()
            if self.truth.in_trouble and time.monotonic() - self._troubled_since > LONGEST_TROUBLE:
                await self._heal()
            await self._quiet(f"turn {self._turn}", settle=self._turn % SETTLED == 0)

    async def _one(self, *, restarts: bool) -> None:
        things: Mapping[str, tuple[Callable[[], Awaitable[None]], int]] = {
            "hot-plugs": (self._hot_plug, 8),
            "driver changes": (self._rebind, 3 if self.sidecar else 0),
            "faults": (self._fault, 8 if self.sidecar else 0),
            "driver troubles": (self._trouble, 2 if self.sidecar and restarts else 0),
            "pods": (self._run_pod, 8),
            "pods deleted": (self._delete_pod, 6),
            "kubelet restarts": (self._restart_kubelet, 5),
            "kubelet outages": (self._kubelet_outage, 2),
            "sidecar kills": (self._kill_sidecar, 2 if self.sidecar else 0),
            "sidecar pauses": (self._pause_sidecar, 2 if self.sidecar else 0),
            "clock jumps": (self._jump, 4),
            "plugin kills": (self._kill_plugin, 2 if restarts else 0),
            "reboots": (self._reboot, 1 if restarts else 0),
        }
        (name,) = self.random.choices(list(things), [weight for _, weight in things.values()])
        await things[name][0]()
        self.done[name] += 1

    async def _hot_plug(self) -> None:
        name, device = self.random.choice(
            [(name, device) for family in self.machine.node.devices.values() for name, device in family.items()]
        )
        if device is None:
            await self.machine.actions.act(Action(add=name))
            self.truth.plugged(name, self._device(name), time.monotonic())
        else:
            await self.machine.actions.act(Action(remove=name))
            self.truth.pulled(name, time.monotonic())

    async def _rebind(self) -> None:
        if not self.truth.present:
            return
        name = self.random.choice(sorted(self.truth.present))
        driver = self.random.choice([one for one in self._device(name).drivers if one != self._device(name).driver])
        await self.machine.actions.act(Action(rebind=Rebind(device=name, driver=driver)))
        self.truth.rebound(name, self._device(name), time.monotonic())

    async def _fault(self) -> None:
        await self._set_fault(self.random.choice(sorted(self._gpus)), self.random.choice((WELL, *FAULTS)))

    async def _trouble(self) -> None:
        """A GPU hangs or crashes the driver: one at a time, so that the others have to be all right."""
        await self._heal()
        await self._set_fault(self.random.choice(sorted(self._gpus)), self.random.choice(TROUBLES))
        self._troubled_since = time.monotonic()

    async def _heal(self) -> None:
        for name in self.truth.in_trouble:
            await self._set_fault(name, WELL)

    async def _repair(self) -> None:
        """As an operator does: what hangs or crashes is replaced, and the sidecar is started anew."""
        await self._heal()
        if self.sidecar:
            await self.machine.plugins.kill(self.sidecar)
            self.truth.sidecar_restarted(time.monotonic())

    async def _set_fault(self, name: str, fault: Fault) -> None:
        await self.machine.actions.act(
            Action(fault=FaultOfGpu.model_validate({"gpu": name, "clear": True, **fault.given}))
        )
        self.truth.faulted(name, fault, time.monotonic())

    async def _run_pod(self) -> None:
        resources = sorted({resource for resource, _ in self.truth.expected(time.monotonic())})
        resource, count = self.random.choice(resources), self.random.randint(1, 2)
        quiet = not self._at_the_end and self._is_right()
        if len(self.truth.pods) >= MOST_PODS or not resources:
            return await self._delete_pod()
        self._pods += 1
        name = f"pod{self._pods}"
        fits = quiet and count <= self.truth.surely_free(resource, time.monotonic())
        try:
            pod = await self.machine.actions.admit(RunPod(name=name, resources={resource: count}))
        except AdmissionError as error:
            if fits:
                self.failures.append(f"{error}, with {count} free")
            return None
        got = frozenset((resource, id_) for resource, ids in pod.devices.items() for id_ in ids)
        if taken := got & self.truth.held:
            self.failures.append(f"{name} was given {sorted(taken)}, which another pod holds")
        self.truth.pods[name] = got
        return None

    async def _delete_pod(self) -> None:
        if self.truth.pods:
            name = self.random.choice(sorted(self.truth.pods))
            await self.machine.actions.act(Action(delete_pod=name))
            self.truth.deleted(name)

    async def _restart_kubelet(self) -> None:
        if not self._at_the_end:
            await self.machine.actions.act(Action(kubelet="restart"))

    async def _kubelet_outage(self) -> None:
        """It is down while other things happen; pods come and go when it is back."""
        if not self._at_the_end:
            await self.machine.actions.act(Action(kubelet="stop"))
            await self._hot_plug()
            await self.machine.actions.act(Action(kubelet="start"))

    async def _kill_sidecar(self) -> None:
        if not self._at_the_end and self.sidecar:
            await self.machine.plugins.kill(self.sidecar)
            self.truth.sidecar_restarted(time.monotonic())

    async def _pause_sidecar(self) -> None:
        if self._at_the_end or not self.sidecar:
            return
        program = self.sidecar
        self.machine.pause(program, on=True)

        async def go_on() -> None:
            self.machine.pause(program, on=False)

        self._at_the_end.append(go_on)

    async def _jump(self) -> None:
        self.machine.jump(self.random.choice(JUMPS))

    async def _kill_plugin(self) -> None:
        await self.machine.plugins.kill(self.plugin)
        self.truth.plugin_restarted()

    async def _reboot(self) -> None:
        if self._at_the_end:
            return
        await self.machine.actions.act(Action(reboot=True))
        self.truth.plugin_restarted()
        self.truth.sidecar_restarted(time.monotonic())
        for name in self.truth.pods.keys() - self.machine.kubelet.pods.keys():  # a device it had was not there again
            self.truth.deleted(name)

    def _device(self, name: str) -> SimulatedDevice:
        device = next(family[name] for family in self.machine.node.devices.values() if name in family)
        assert device is not None
        return device

    def _is_right(self) -> bool:
        return not any(differences(self.truth.expected(time.monotonic()), self.machine.listed()))

    async def _quiet(self, where: str, *, settle: bool = False) -> None:
        """Nothing happens until the kubelet, the metrics and the labels say what is true."""
        began = time.monotonic()
        if settle:
            await asyncio.sleep(max(0.0, self.truth.reach.settled_at() - began))
            began = time.monotonic()
        wrong = ["nobody has looked"]
        while wrong and time.monotonic() - began < PATIENCE:
            wrong = [text async for text in self._wrong(time.monotonic())]
            if wrong:
                await asyncio.sleep(LOOK)
        self.failures += [f"{where}: {text}" for text in wrong[:10]]
        self.failures += [f"{where}: {text}" for text in self.machine.wrong]
        self.machine.wrong.clear()
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.truth.seen(time.monotonic())
        self.usage.look(self.machine.plugins.pids)
        self.done["quiet points"] += 1
        self.done["labels compared"] += self.sidecar is not None and labels(self.truth, time.monotonic()) is not None

    async def _wrong(self, now: float) -> AsyncIterator[str]:
        """What is not as it has to be, in words; of the first place where something is."""
        ended = self.machine.plugins.failed
        if ended.done():
            yield f"{ended.result()[0]}; its last lines were: {' | '.join(ended.result()[1][-3:])}"
            return
        expected = self.truth.expected(now)
        found = [f"kubelet: {text}" for text in differences(expected, self.machine.listed())]
        for place, look in (("metrics", self._on_plugin_page), ("sidecar", self._on_sidecar_page)):
            if not found:
                try:
                    found = [f"{place}: {text}" async for text in look(now)]
                except OSError as error:
                    found = [f"{place}: {error}"]
        for text in found:
            yield text

    async def _on_plugin_page(self, now: float) -> AsyncIterator[str]:
        page, expected = await self.machine.plugin_page(), self.truth.expected(now)
        for text in (*differences(expected, page.health), *wrong_reasons(self.truth, page.reasons, now)):
            yield text
        for resource in self.truth.resources:
            for health in (HEALTHY, UNHEALTHY):
                listed = sum(state == health for id_, state in page.health.items() if id_[0] == resource)
                if (count := page.counts.get((resource, health), 0)) != listed:
                    yield f"{resource} has {count:g} devices {health}, and lists {listed}"
            if not page.streams.get(resource):
                yield f"{resource} has no stream to the kubelet"

    async def _on_sidecar_page(self, now: float) -> AsyncIterator[str]:
        if self.sidecar is None:
            return
        for text in wrong_on_page(self.truth, self._gpus, await self.machine.sidecar_page(), now):
            yield text
        if labels(self.truth, now) is not None:
            found, good_for = self.machine.labels()
            for text in wrong_labels(self.truth, found, now):
                yield text
            if not LABELS_LAST / 2 - SLACK < good_for < LABELS_LAST + SLACK:
                yield f"labels are good for {good_for:.0f} s by the programs' clock"
