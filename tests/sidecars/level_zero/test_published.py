"""What is published while the collector works, while it does not, and what happens to devices that go."""

from dataclasses import replace

from xpu_shared.telemetry.kinds import Group, Mode
from xpu_shared.telemetry.readings import DeviceReading, DeviceSnapshot, GroupStatus, SourceProblem, WslDevices
from xpu_sidecars.level_zero.published import STARTING, Published
from xpu_sidecars.level_zero.reports import Count, Report

FIRST, SECOND = "0000:03:00.0", "0000:04:00.0"


def report(*addresses: str, known: tuple[str, ...] = (FIRST, SECOND), age: float | None = 0.0) -> Report:
    devices = tuple(
        DeviceReading(pci_address=address, groups={Group.STATE: GroupStatus(age=age)}) for address in addresses
    )
    return Report(snapshot=DeviceSnapshot(mode=Mode.SYSMAN, devices=devices), pci_addresses=known)


def ages(published: Published, now: float) -> dict[str, float | None]:
    return {device.pci_address: device.groups[Group.STATE].age for device in published.snapshot(now).devices}


def test_before_the_first_report_it_says_that_it_starts() -> None:
    snapshot = Published("1.0").snapshot(0)
    assert (snapshot.unavailable, snapshot.devices, snapshot.collector_version) == (STARTING, (), "1.0")


def test_a_device_that_is_not_sampled_grows_old() -> None:
    published = Published("1.0")
    published.take(report(FIRST, SECOND), now=10)
    published.take(report(FIRST), now=11)

    assert ages(published, 11.5) == {FIRST: 0.5, SECOND: 1.5}


def test_an_age_is_that_of_the_sample_and_never_sampled_stays_so() -> None:
    published = Published("1.0")
    published.take(report(FIRST, age=4.0), now=10)
    published.take(report(SECOND, age=None), now=10)

    assert ages(published, 11) == {FIRST: 5.0, SECOND: None}


def test_a_device_that_is_known_no_more_is_gone() -> None:
    published = Published("1.0")
    published.take(report(FIRST, SECOND), now=10)
    published.take(report(known=(SECOND,)), now=11)

    assert list(ages(published, 11)) == [SECOND]


def test_of_a_device_that_is_forgotten_nothing_old_comes_back() -> None:
    published = Published("1.0")
    published.take(report(FIRST, SECOND), now=10)
    published.forget({FIRST})
    assert (list(ages(published, 11)), published.unread) == ([SECOND], frozenset())

    counts = {(address, Group.STATE): Count(failed_calls=1) for address in (FIRST, SECOND)}
    published.take(replace(report(FIRST, SECOND), counts=counts), now=12)  # the library goes on listing it
    assert list(ages(published, 12)) == [SECOND]

    published.forget({FIRST})
    published.forget(())  # another one is at its place, which has not been read
    assert {address for address, _ in published.counts} == {SECOND}
    assert (list(ages(published, 13)), published.unread) == ([SECOND], frozenset({FIRST}))
    published.take(report(FIRST), now=14)
    assert ages(published, 14) == {FIRST: 0.0, SECOND: 2.0}


def test_trouble_keeps_what_was_known_with_its_age() -> None:
    published = Published("1.0")
    published.take(report(FIRST, SECOND), now=10)
    published.trouble("the driver crashed")

    assert published.snapshot(40).unavailable == "the driver crashed"
    assert ages(published, 40) == {FIRST: 30.0, SECOND: 30.0}
    published.take(report(FIRST), now=41)
    assert published.snapshot(41).unavailable == ""


def test_problems_and_indices_are_those_of_the_newest_report() -> None:
    published = Published("1.0")
    problem = SourceProblem(subject="driver 1", text="broken")
    snapshot = DeviceSnapshot(problems=(problem,), wsl=WslDevices(indices=(0,)))
    published.take(Report(snapshot=snapshot), now=1)
    assert published.snapshot(1).problems == (problem,)

    published.trouble("no driver")
    assert (published.snapshot(2).problems, published.snapshot(2).wsl) == ((), None)
