"""The three answers of the reference, memory, bus and SoC, from what was measured. Unknown is not failed."""

from collections.abc import Sequence

from xpu_shared.telemetry.kinds import LinkStatus, MemoryHealth, Verdict
from xpu_shared.telemetry.readings import DeviceState, Indicator, MemoryModule, PciLink

OK = Indicator(verdict=Verdict.OK)
FAILING = (MemoryHealth.CRITICAL, MemoryHealth.REPLACE)


def memory(modules: Sequence[MemoryModule], *, integrated: bool | None) -> Indicator:
    """Failed as soon as one module is; a module that does not tell, or is degraded, is no failure."""
    if integrated:
        return OK  # it has no memory of its own
    failing = [f"module {place}: {module.health}" for place, module in enumerate(modules) if module.health in FAILING]
    if failing:
        return Indicator(verdict=Verdict.FAILED, reason=", ".join(failing))
    answered = any(module.health is not MemoryHealth.UNKNOWN or module.size_bytes for module in modules)
    return OK if answered else Indicator(reason="no memory module tells its state")


def bus(link: PciLink) -> Indicator:
    """Failed when the link is slower than it should be, or unstable; replays alone are no failure."""
    if link.speed_issues:
        return Indicator(verdict=Verdict.FAILED, reason="the link has speed issues")
    if link.status is LinkStatus.STABILITY_ISSUES:
        return Indicator(verdict=Verdict.FAILED, reason="the link has stability issues")
    return Indicator(reason="the driver does not tell the link's state") if link.speed_issues is None else OK


def soc(state: DeviceState, *, answered: bool) -> Indicator:
    """Failed when the device has to be reset or repaired, or does not answer.

    Args:
        answered: some call has succeeded, so the device lives even if its driver does not tell its state.
    """
    failures = {
        "device lost": bool(state.lost_rounds),
        "wedged": state.wedged,
        "has to be repaired": state.repair_needed,
        "has to be reset": state.reset_required,
        "in survivability mode": state.survivability_mode,
    }
    failing = [text for text, failed in failures.items() if failed]
    if failing:
        return Indicator(verdict=Verdict.FAILED, reason=", ".join(failing))
    return OK if answered else Indicator(reason="no call was answered")
