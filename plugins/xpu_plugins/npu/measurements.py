"""What the metrics page shows of NPUs, as far as the kernel's version tells: use, memory, frequencies, resets."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xpu_plugins.npu.health import Resets
from xpu_shared.kernel.sysfs import MalformedAttributeError, read_integer, read_text
from xpu_shared.measurement import Gauge

LABELS = ("device", "pci_bdf")
MEGAHERTZ = 1_000_000


@dataclass(frozen=True, slots=True)
class Busy:
    """How long an NPU had worked at some moment."""

    microseconds: int
    at: float  # monotonic seconds


@dataclass(frozen=True, slots=True)
class Measured:
    gauges: Sequence[Gauge]
    busy: Mapping[str, Busy]  # by name, for the next time


def measure(
    sysfs: Path, names: Collection[str], *, resets: Mapping[str, Resets], before: Mapping[str, Busy], now: float
) -> Measured:
    """What is true now of the NPUs of these names. What cannot be read is left out.

    Args:
        resets: by devpath.
        before: what the last call has returned.
    """
    busy: dict[str, Busy] = {}
    samples: dict[str, list[tuple[tuple[str, ...], float]]] = {}
    modes: list[tuple[tuple[str, ...], float]] = []
    root = os.path.realpath(sysfs).rstrip("/")
    for name in names:
        device = os.path.realpath(sysfs / "class/accel" / name / "device")
        labels = (name, Path(device).name)
        modes.append(((*labels, _text(f"{device}/device"), _text(f"{device}/sched_mode")), 1))
        microseconds = _number(f"{device}/npu_busy_time_us")
        if microseconds is not None:
            busy[name] = Busy(microseconds, now)
        known = resets.get(device.removeprefix(root))
        values = {
            "npu_utilization_ratio": utilization(before.get(name), busy.get(name)),
            "npu_memory_used_bytes": _number(f"{device}/npu_memory_utilization"),
            "npu_frequency_hertz": _number(f"{device}/npu_current_frequency_mhz", MEGAHERTZ),
            "npu_max_frequency_hertz": _number(f"{device}/npu_max_frequency_mhz", MEGAHERTZ),
            "npu_resets": known.count if known else 0,
        }
        for metric, value in values.items():
            if value is not None:
                samples.setdefault(metric, []).append((labels, value))
    helps = {
        "npu_utilization_ratio": "Part of the time since the page before in which the NPU worked, 0 to 1.",
        "npu_memory_used_bytes": "Memory that the driver has for the NPU.",
        "npu_frequency_hertz": "Its frequency, 0 while it sleeps.",
        "npu_max_frequency_hertz": "Its highest frequency.",
        "npu_resets": "Resets by its driver since the plugin has started.",
    }
    gauges = [Gauge(name=key, help=text, labels=LABELS, samples=samples.get(key, [])) for key, text in helps.items()]
    info = Gauge(name="npu_info", help="NPUs, always 1.", labels=(*LABELS, "pci_id", "sched_mode"), samples=modes)
    return Measured(gauges=(info, *gauges), busy=busy)


def utilization(before: Busy | None, now: Busy | None) -> float | None:
    """The part of the time between two moments in which an NPU worked; None when it cannot be told.

    The counter starts anew when the driver is loaded again.
    """
    if before is None or now is None or now.at <= before.at or now.microseconds < before.microseconds:
        return None
    return min(1.0, (now.microseconds - before.microseconds) / 1e6 / (now.at - before.at))


def _number(attribute: str, factor: int = 1) -> int | None:
    try:
        value = read_integer(attribute)
    except (OSError, MalformedAttributeError):
        return None
    return value * factor if value >= 0 else None


def _text(attribute: str) -> str:
    try:
        return read_text(attribute)[:64]
    except (OSError, MalformedAttributeError):
        return ""
