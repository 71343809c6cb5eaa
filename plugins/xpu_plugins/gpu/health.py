"""What a telemetry reading says of a GPU's health: its conditions, each with what was seen.

The rules are a table in docs/gpu.md. What follows from findings over time is decided in `xpu_shared/health.py`, and
kept for each GPU in `judges.py`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from xpu_shared.health import Evidence, Finding
from xpu_shared.telemetry import bounds
from xpu_shared.telemetry.kinds import Group, LinkStatus, MemoryHealth, RasSeverity, TemperatureKind, Verdict
from xpu_shared.telemetry.readings import DeviceReading, DeviceState, MemoryModule, PciLink

OLDEST = 60.0  # seconds: an older sample says nothing any more, unless its source speaks more seldom
UNKNOWN_LINK, UNKNOWN_STATE = PciLink(), DeviceState()
LOST = 2  # rounds in a row in which the device did not answer

AREAS = {
    TemperatureKind.GLOBAL: "temperature-global",
    TemperatureKind.GPU: "temperature-gpu",
    TemperatureKind.MEMORY: "temperature-memory",
}
# A sensor is known by its kind, its tile and its place among those alike.
Sensor = tuple[TemperatureKind, int | None, int]
Temperatures = Mapping[Sensor, float]  # °C
Seen = tuple[Evidence, str]  # with what was seen, for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    celsius: Mapping[TemperatureKind, float]
    hysteresis: float = 5.0  # °C
    ras_uncorrectable: int = 0  # errors that take a GPU out; 0: none do


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    findings: Mapping[str, Finding]  # by condition
    warnings: tuple[str, ...]  # not good, but no reason to take a GPU out
    temperatures: Temperatures  # the newest of each sensor that is there, for the next observation


def observe(
    reading: DeviceReading, limits: Limits, last: Temperatures, *, age: float = 0.0, validity: float = 0.0
) -> Observation:
    """What a reading says.

    Args:
        last: the temperatures of the last observation. A sensor that does not answer counts with its last value: that
            it died when it was hot does not make it cool.
        age: seconds since the reading was made.
        validity: seconds that it is good for.
    """
    temperatures = known_temperatures(reading, last)
    state = _state(reading.state)
    by_age = (
        (_age(reading, *reading.groups), _verdicts(reading)),
        (_age(reading, Group.TEMPERATURE), _hot(reading, temperatures, limits)),
        (_age(reading, Group.MEMORY), _memory(reading)),
        (_age(reading, Group.PCI), _bus(reading.pci)),
        (_age(reading, *reading.groups), state),
        (_age(reading, Group.RAS), _ras(reading, limits.ras_uncorrectable)),
        # What calls end with is of the newest round, also when they give no samples any more.
        (0.0, {name: seen for name, seen in state.items() if seen[0] is Evidence.BAD}),
    )
    findings = {
        name: Finding(evidence=evidence, text=text, age=sampled + age)
        for sampled, found in by_age
        for name, (evidence, text) in found.items()
        if sampled <= max(OLDEST, validity)
    }
    return Observation(findings=findings, warnings=tuple(_warnings(reading)), temperatures=temperatures)


def _age(reading: DeviceReading, *groups: Group) -> float:
    """Seconds since the newest sample of the groups, infinite when there is none; 0 where no ages are told."""
    if not reading.groups:
        return 0.0
    statuses = [reading.groups[group] for group in groups if group in reading.groups]
    return min((status.age for status in statuses if status.age is not None), default=math.inf)


def known_temperatures(reading: DeviceReading, last: Temperatures) -> Temperatures:
    """The newest value of each sensor that the reading lists."""
    found: dict[Sensor, float] = {}
    counts: dict[tuple[TemperatureKind, int | None], int] = {}
    for sensor in reading.temperatures:
        place = counts.get((sensor.kind, sensor.subdevice), 0)
        counts[sensor.kind, sensor.subdevice] = place + 1
        key = (sensor.kind, sensor.subdevice, place)
        value = last.get(key) if sensor.celsius is None else sensor.celsius
        if value is not None:
            found[key] = value
    return found


def _hot(reading: DeviceReading, temperatures: Temperatures, limits: Limits) -> dict[str, Seen]:
    answering = {sensor.kind for sensor in reading.temperatures if sensor.celsius is not None}
    return {name: _area(kind, temperatures, limits) for kind, name in AREAS.items() if kind in answering}


def _area(kind: TemperatureKind, temperatures: Temperatures, limits: Limits) -> Seen:
    """Of all sensors of a kind the hottest counts."""
    hottest = max((sensor for sensor in temperatures if sensor[0] is kind), key=temperatures.__getitem__)
    celsius, limit = temperatures[hottest], limits.celsius[kind]
    if celsius > limit:
        return _bad(f"{kind} temperature {celsius:g} > {limit:g}{_tile(hottest[1])}")
    return _clear(celsius <= limit - limits.hysteresis)


def _memory(reading: DeviceReading) -> dict[str, Seen]:
    status = reading.groups.get(Group.MEMORY)
    failed = status is not None and status.last_error is not None
    # A module that did not answer looks like one of unknown health, but for what else it tells.
    silent = failed and any(
        module.health is MemoryHealth.UNKNOWN and module.free_bytes is None for module in reading.memory
    )
    ill = [module for module in reading.memory if module.health in (MemoryHealth.CRITICAL, MemoryHealth.REPLACE)]
    if not reading.memory or (silent and not ill):
        return {}
    return {
        name: _of_module(next((module for module in ill if module.health is health), None), clear=not ill)
        for name, health in (("memory-critical", MemoryHealth.CRITICAL), ("memory-replace", MemoryHealth.REPLACE))
    }


def _of_module(module: MemoryModule | None, *, clear: bool) -> Seen:
    if module is None:
        return _clear(clear)
    return _bad(f"a {_name(module)} reports {module.health}{_tile(module.subdevice)}")


def _name(module: MemoryModule) -> str:
    return f"memory module ({module.kind})" if module.kind != "unknown" else "memory module"


def _bus(link: PciLink) -> dict[str, Seen]:
    found = {}
    if link.speed_issues is not None:
        text = "the PCI link has speed issues"
        if link.generation and link.max_generation:
            text += f": generation {link.generation} of {link.max_generation}, {link.lanes} lanes of {link.max_lanes}"
        found["bus-speed"] = _bad(text) if link.speed_issues else _clear()
    if link.status is not LinkStatus.UNKNOWN:
        unstable = link.status is LinkStatus.STABILITY_ISSUES
        found["bus-unstable"] = _bad("the PCI link has stability issues") if unstable else _clear()
    return found


def _verdicts(reading: DeviceReading) -> dict[str, Seen]:
    """The three answers of the reference, of a source that tells no details by which they could be judged here."""
    answers = (
        ("memory-critical", "memory", reading.memory_ok, bool(reading.memory)),
        ("bus-speed", "bus", reading.bus_ok, reading.pci != UNKNOWN_LINK),
        ("wedged", "SoC", reading.soc_ok, reading.state != UNKNOWN_STATE),
    )
    return {
        name: _bad(f"{part} failed{f': {bounds.text(answer.reason)}' if answer.reason else ''}")
        if answer.verdict is Verdict.FAILED
        else _clear()
        for name, part, answer, detailed in answers
        if answer.verdict is not Verdict.UNKNOWN and not detailed
    }


def _state(state: DeviceState) -> dict[str, Seen]:
    found = {}
    wedged = {"the device is wedged": state.wedged, "the device requires a reset": state.reset_required}
    repair = {
        "the device needs repair": state.repair_needed,
        "the device is in survivability mode": state.survivability_mode,
    }
    for name, signs in (("wedged", wedged), ("repair-needed", repair)):
        seen = [text for text, sign in signs.items() if sign]
        if seen:
            found[name] = _bad(" and ".join(seen))
        elif any(sign is not None for sign in signs.values()):
            found[name] = _clear()
    if state.lost_rounds is not None:
        lost = state.lost_rounds >= LOST
        text = f"the driver has lost the device, {state.lost_rounds} times in a row"
        found["device-lost"] = _bad(text) if lost else _clear(state.lost_rounds == 0)
    return found


def _ras(reading: DeviceReading, limit: int) -> dict[str, Seen]:
    """Counters begin anew with a reset or a reboot, and only then."""
    errors = uncorrectable_errors(reading)
    if not limit or errors is None:
        return {}
    bad = errors >= limit
    return {"ras-uncorrectable": _bad(f"{errors} uncorrectable errors, limit {limit}") if bad else _clear()}


def uncorrectable_errors(reading: DeviceReading) -> int | None:
    """Of all tiles and categories; None when none is counted."""
    sets = [errors for errors in reading.ras if errors.severity is RasSeverity.UNCORRECTABLE]
    counts = [count for errors in sets for count in errors.counts.values() if count is not None]
    return sum(counts) if counts else None


def _warnings(reading: DeviceReading) -> list[str]:
    texts = [
        f"a {_name(module)} is degraded{_tile(module.subdevice)}"
        for module in reading.memory
        if module.health is MemoryHealth.DEGRADED
    ]
    if reading.pci.replay_issues:
        texts.append("the PCI link replays packets")
    if reading.pci.retraining_issues:
        texts.append("the PCI link retrains")
    if errors := uncorrectable_errors(reading):
        texts.append(f"{errors} uncorrectable errors since the driver was loaded")
    return list(dict.fromkeys(texts))


def _tile(number: int | None) -> str:
    return "" if number is None else f" (subdevice {number})"


def _bad(text: str) -> Seen:
    return Evidence.BAD, text


def _clear(clear: bool = True) -> Seen:
    return Evidence.CLEAR if clear else Evidence.BETWEEN, ""
