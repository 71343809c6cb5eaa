"""The three answers of the reference, corrected: unknown is not failed, and failed has a reason."""

import pytest

from xpu_shared.telemetry.kinds import LinkStatus, MemoryHealth, Verdict
from xpu_shared.telemetry.readings import DeviceState, Indicator, MemoryModule, PciLink
from xpu_sidecars.level_zero import verdicts

OK, UNKNOWN, FAILED = Verdict.OK, Verdict.UNKNOWN, Verdict.FAILED


@pytest.mark.parametrize(
    ("healths", "expected"),
    [
        ((), UNKNOWN),
        (("unknown",), UNKNOWN),
        (("ok", "unknown"), OK),
        (("degraded", "ok"), OK),
        (("ok", "critical"), FAILED),
        (("replace",), FAILED),
    ],
)
def test_memory_fails_with_one_module(healths: tuple[str, ...], expected: Verdict) -> None:
    modules = [MemoryModule(health=MemoryHealth(health)) for health in healths]
    assert verdicts.memory(modules, integrated=False).verdict is expected


def test_memory_says_which_modules() -> None:
    modules = [MemoryModule(health=health) for health in (MemoryHealth.CRITICAL, MemoryHealth.OK, MemoryHealth.REPLACE)]
    assert verdicts.memory(modules, integrated=False).reason == "module 0: critical, module 2: replace"


def test_an_integrated_gpu_has_no_memory_to_fail() -> None:
    assert verdicts.memory((), integrated=True).verdict is OK


def test_a_module_whose_health_is_unknown_answers_with_its_size() -> None:
    assert verdicts.memory([MemoryModule(size_bytes=1)], integrated=None).verdict is OK


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (PciLink(), UNKNOWN),
        (PciLink(status=LinkStatus.GOOD, speed_issues=False), OK),
        (PciLink(status=LinkStatus.QUALITY_ISSUES, speed_issues=False, replay_issues=True), OK),
        (PciLink(status=LinkStatus.QUALITY_ISSUES, speed_issues=True, replay_issues=True), FAILED),
        (PciLink(status=LinkStatus.STABILITY_ISSUES, speed_issues=False), FAILED),
    ],
)
def test_the_bus_fails_by_speed_and_instability(link: PciLink, expected: Verdict) -> None:
    assert verdicts.bus(link).verdict is expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (DeviceState(), OK),
        (DeviceState(wedged=False, lost_rounds=0, reset_required=False), OK),
        (DeviceState(wedged=True), FAILED),
        (DeviceState(repair_needed=True), FAILED),
        (DeviceState(reset_required=True), FAILED),
        (DeviceState(survivability_mode=True), FAILED),
        (DeviceState(lost_rounds=1), FAILED),
    ],
)
def test_the_soc_fails_when_something_has_to_be_done(state: DeviceState, expected: Verdict) -> None:
    assert verdicts.soc(state, answered=True).verdict is expected


def test_a_device_that_answers_nothing_is_unknown() -> None:
    assert verdicts.soc(DeviceState(), answered=False) == Indicator(reason="no call was answered")
