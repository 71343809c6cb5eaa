"""A GPU's state in one word, for labels and dashboards. What the kubelet is told is the device plugin's judgement."""

import math
from collections.abc import Iterable
from enum import StrEnum

from xpu_shared.telemetry.kinds import LinkStatus, MemoryHealth, Verdict
from xpu_shared.telemetry.readings import DeviceReading

STALE = 3.0  # intervals without a sample, after which nothing is known
SHORTEST = 10.0  # seconds: a busy machine may be late by that


class Condition(StrEnum):
    """From the best to the worst."""

    OK = "ok"
    UNKNOWN = "unknown"
    DEGRADED = "degraded"
    FAILED = "failed"


def condition(device: DeviceReading, *, interval: float) -> Condition:
    """The device's state. `interval` is the seconds between samples."""
    if device.state.lost_rounds:
        return Condition.FAILED  # its samples grow old, and that is why
    ages = [status.age for status in device.groups.values() if status.age is not None]
    if min(ages, default=math.inf) > max(STALE * interval, SHORTEST):
        return Condition.UNKNOWN
    verdicts = [indicator.verdict for indicator in (device.memory_ok, device.bus_ok, device.soc_ok)]
    if Verdict.FAILED in verdicts:
        return Condition.FAILED
    degraded_memory = any(module.health is MemoryHealth.DEGRADED for module in device.memory)
    if degraded_memory or device.pci.status is LinkStatus.QUALITY_ISSUES:
        return Condition.DEGRADED
    return Condition.OK if Verdict.OK in verdicts else Condition.UNKNOWN


def worst(conditions: Iterable[Condition]) -> Condition:
    """Of several devices; of none nothing is known."""
    order = list(Condition)
    return max(conditions, key=order.index, default=Condition.UNKNOWN)
