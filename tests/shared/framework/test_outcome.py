"""What becomes of a scan."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from framework import unit
from xpu_shared.device import Device, Health, Problem, ScanResult
from xpu_shared.inventory import Snapshot, merge
from xpu_shared.outcome import Outcome, changes, outcome

RETENTION = 600.0
LONG = "x" * 55


def after(
    result: ScanResult, before: Outcome | None = None, *, held: Sequence[str] = (), now: float = 1000.0
) -> Outcome:
    previous = {type_: listed.snapshot for type_, listed in before.resources.items()} if before else {}
    return outcome("demo.intel.com", result, previous, held=lambda _: held, retention=RETENTION, now=now)


def found(*ids: str, problems: Sequence[Problem] = (), again: float | None = None) -> ScanResult:
    return ScanResult(devices={"unit": [unit(id_) for id_ in ids]}, problems=tuple(problems), scan_again_in=again)


def test_a_first_scan_lists_everything_and_says_so() -> None:
    (listed,) = after(found("b", "a")).resources.values()

    assert list(listed.snapshot.devices) == ["a", "b"]
    assert (listed.healthy, listed.changed, listed.refused) == (2, {"changed": "a Healthy, b Healthy"}, False)


def test_nothing_is_said_of_a_scan_that_changes_nothing() -> None:
    first = after(found("a"))
    assert after(found("a"), first).resources["unit"].changed is None


def test_a_type_that_is_not_found_any_more_keeps_its_devices_as_unhealthy_until_they_run_out() -> None:
    gone = after(ScanResult(devices={}), after(found("a")), now=2000.0)

    assert gone.resources["unit"].snapshot.devices["a"].health is Health.UNHEALTHY
    assert gone.resources["unit"].changed == {"changed": "a Unhealthy", "reasons": "the device is no longer there"}
    assert gone.scan_again_at == 2000.0 + RETENTION
    assert after(ScanResult(devices={}), gone, now=2600.0).resources["unit"].snapshot.devices == {}


def test_what_is_held_runs_out_never() -> None:
    gone = after(ScanResult(devices={}), after(found("a")), held=["a"])
    assert gone.scan_again_at is None


def test_the_next_scan_is_the_earliest_that_is_asked_for() -> None:
    first = after(found("a", again=3.0), now=10.0)
    assert first.scan_again_at == 13.0
    assert after(ScanResult(devices={}, scan_again_in=3.0), first, now=20.0).scan_again_at == 23.0


def test_problems_that_read_alike_are_one_and_expected_ones_are_apart() -> None:
    problem = Problem(subject="card0", text="it has no driver")
    told = after(found(problems=(problem, problem, replace(problem, expected=True))))
    assert told.problems == told.sights == {"card0: it has no driver"}


def test_of_a_list_too_large_only_what_was_known_is_told() -> None:
    first = after(found("a", "b"))
    flood = after(found("a", *(f"{LONG}{number}" for number in range(60_000))), first, held=["a", "stranger"])

    listed = flood.resources["unit"]
    assert listed.refused
    assert {id_: device.health for id_, device in listed.snapshot.devices.items()} == {
        "a": Health.HEALTHY,
        "b": Health.UNHEALTHY,
    }
    (problem,) = flood.problems
    assert "demo.intel.com/unit: its list of 60003 devices has " in problem


def test_of_many_changes_some_are_named_and_the_others_counted() -> None:
    devices = {f"u{number:02}": unit(f"u{number:02}") for number in range(20)}
    told = changes({}, devices)["changed"]
    assert told.startswith("u00 Healthy, u01 Healthy")
    assert told.endswith("u07 Healthy and 12 more")
    assert changes(devices, {"u00": devices["u00"]})["changed"].endswith("u08 dropped and 11 more")


DEVICES = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(Health))


@settings(deadline=None)
@given(DEVICES, DEVICES)
def test_a_change_is_told_of_exactly_those_that_differ(before: dict[str, Health], now: dict[str, Health]) -> None:
    def snapshot(healths: dict[str, Health]) -> dict[str, Device]:
        devices = [unit(id_, health=health) for id_, health in healths.items()]
        return dict(merge(Snapshot(), devices, retention=0.0, now=0.0).devices)

    told = changes(snapshot(before), snapshot(now))["changed"]
    differ = {id_ for id_ in before.keys() | now.keys() if before.get(id_) != now.get(id_)}
    assert {part.split()[0] for part in told.split(", ") if part} == differ
