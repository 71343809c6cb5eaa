"""Source B: the GPUs' fabric ports, read through Level-Zero by such a child as the Level-Zero sidecar has."""

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from xpu_shared.telemetry.fabric import Port
from xpu_shared.telemetry.kinds import Group
from xpu_shared.telemetry.readings import DeviceReading, SourceProblem
from xpu_shared.telemetry.topology import TopologyDevice
from xpu_sidecars.level_zero import gpus
from xpu_sidecars.level_zero.reports import Report
from xpu_sidecars.level_zero.results import Meaning, meaning
from xpu_sidecars.level_zero.supervisor import Supervisor
from xpu_sidecars.xelink.intel_cards import Card, intel_cards
from xpu_sidecars.xelink.ports import joined, label_value
from xpu_sidecars.xelink.reading import Look, Reading, SourceError, Take

SOURCE = "native"
LOOK = 2.0  # seconds between looks at the kernel's GPUs


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    index: str = "card-order"  # or ze
    accept_degraded: bool = False
    lanes: int = 4  # of a link in the label, at least
    keep_last: float = 60.0  # seconds that the ports of a device count when it does not tell them any more


@dataclass(frozen=True, slots=True)
class _Ports:
    ports: tuple[Port, ...]
    at: float  # monotonic seconds


class Native:
    def __init__(self, library: str, interval: float, sysfs: Path, rules: Rules) -> None:
        self._library = library
        self._interval = interval
        self._sysfs = sysfs
        self._devices = Devices(rules)

    async def run(self, take: Take) -> None:
        def on_report(report: Report) -> None:
            look = self._look(report)
            if look is not None:
                take(look)

        supervisor = Supervisor(
            self._library,
            self._interval,
            wsl=False,
            groups=(Group.FABRIC,),
            on_report=on_report,
            on_trouble=lambda reason: take(SourceError("library", reason)),
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(supervisor.run())
            tasks.create_task(self._watch_gpus(supervisor))

    def _look(self, report: Report) -> Look | None:
        """What a report tells; None when it is none but a sign of life."""
        self._devices.take(report, time.monotonic())
        if not report.snapshot.devices and not report.hanging:
            return None
        try:
            return self._devices.reading(intel_cards(self._sysfs), time.monotonic())
        except OSError as error:
            return SourceError("sysfs", f"{error.filename}: {error.strerror}")
        except SourceError as error:
            return error

    async def _watch_gpus(self, supervisor: Supervisor) -> None:
        """The library finds devices only once: have them enumerated again when GPUs come or go."""
        changes = gpus.Changes(gpus.driven_gpus(self._sysfs))
        while True:
            await asyncio.sleep(LOOK)
            if changes.look(gpus.driven_gpus(self._sysfs)):
                supervisor.enumerate_again()


class Devices:
    """What is known of each device's ports. Times are monotonic seconds."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._readings: dict[str, DeviceReading] = {}
        self._ports: dict[str, _Ports] = {}  # as last told without an error
        self._addresses: tuple[str, ...] = ()
        self._hanging: Collection[str] = ()

    def take(self, report: Report, now: float) -> None:
        self._addresses = tuple(sorted(report.pci_addresses))
        self._hanging = {*report.hanging, *report.left_alone}
        for reading in report.snapshot.devices:
            self._readings[reading.pci_address] = reading
            if not trouble(reading):
                self._ports[reading.pci_address] = _Ports(reading.fabric_ports, now)
            elif reading.state.lost_rounds:
                self._ports.pop(reading.pci_address, None)  # what was there is there no more
        for known in (self._readings, self._ports):
            for address in known.keys() - set(self._addresses):
                del known[address]

    def reading(self, cards: list[Card], now: float) -> Reading:
        """The fabric as the devices tell it now.

        Raises:
            SourceError: one of them has never told its ports, and has not said why there are none.
        """
        ports: list[Port] = []
        problems: list[SourceProblem] = []
        for address in self._addresses:
            ports += self._ports_of(address, now, problems)
        order = {address: place for place, address in enumerate(self._addresses)}
        found = joined(ports, order, accept_degraded=self._rules.accept_degraded)
        indices = order if self._rules.index == "ze" else {card.pci_address: n for n, card in enumerate(cards)}
        unnumbered = {end.pci_address for link in found.links for end in (link.a, link.b)} - indices.keys()
        problems += [
            SourceProblem(subject=address, text="has links and no card, so that labels cannot name it")
            for address in sorted(unnumbered)
        ]
        return Reading(
            source=SOURCE,
            devices=tuple(self._described(cards, indices)),
            links=found.links,
            ports=tuple(ports),
            problems=(*problems, *found.problems),
            value=label_value(found.links, indices, lanes=self._rules.lanes),
            errors=found.errors,
        )

    def _ports_of(self, address: str, now: float, problems: list[SourceProblem]) -> tuple[Port, ...]:
        """A device's ports as it last told them, for as long as they count."""
        reading, known = self._readings.get(address), self._ports.get(address)
        text = trouble(reading) if reading else ""
        if address in self._hanging:
            text = "does not answer"
        if known is None and not (reading and reading.state.lost_rounds):
            raise SourceError("device", f"{address}: its fabric ports are not known: {text or 'not read yet'}")
        if text:
            problems.append(SourceProblem(subject=address, text=f"its fabric ports are not read: {text}"))
        return known.ports if known and now - known.at <= self._rules.keep_last else ()

    def _described(self, cards: list[Card], indices: Mapping[str, int]) -> list[TopologyDevice]:
        by_address = {card.pci_address: card for card in cards}
        devices = []
        for address in self._addresses:
            card, reading = by_address.get(address), self._readings.get(address)
            tiles = reading.subdevices if reading else None
            devices.append(
                TopologyDevice(
                    pci_address=address,
                    index=indices.get(address),
                    card=card.number if card else None,
                    uuid=reading.uuid if reading else "",
                    tiles=None if tiles is None else max(1, tiles),
                    numa_node=card.numa_node if card else None,
                )
            )
        return devices


def trouble(reading: DeviceReading) -> str:
    """Why a device's ports are not known now; empty: they are, or it has none."""
    if reading.state.lost_rounds:
        return "the device is lost"
    status = reading.groups.get(Group.FABRIC)
    if status is None or status.last_error is None or meaning(status.last_error.code) is Meaning.PERMANENT:
        return ""
    return status.last_error.text
