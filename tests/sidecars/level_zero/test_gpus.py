"""Which GPUs the kernel's drivers have, and when that is a change."""

from pathlib import Path

import pytest

from xpu_sidecars.level_zero.gpus import MISSING, SETTLED, Changes, Departures, Missing, driven_gpus

FIRST, SECOND = frozenset({"0000:03:00.0"}), frozenset({"0000:03:00.0", "0000:04:00.0"})


def test_gpus_of_both_drivers_and_nothing_else(tmp_path: Path) -> None:
    for name in ("i915/0000:03:00.0", "xe/0000:04:00.0", "xe/bind", "vfio-pci/0000:05:00.0", "i915/module"):
        (tmp_path / "bus/pci/drivers" / name).mkdir(parents=True)

    assert driven_gpus(tmp_path) == SECOND


def test_without_drivers_there_are_none(tmp_path: Path) -> None:
    assert driven_gpus(tmp_path) == frozenset()


def test_a_directory_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bus/pci/drivers/i915").mkdir(parents=True)

    def fail(_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.listdir", fail)
    assert driven_gpus(tmp_path) is None


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ([FIRST, FIRST], [False, False]),
        ([SECOND, SECOND, SECOND], [False, True, False]),  # once it has lasted
        ([SECOND, FIRST, FIRST], [False, False, False]),  # it came and went
        ([None, None, SECOND, SECOND], [False, False, False, True]),
        ([SECOND, None, SECOND, SECOND], [False, False, False, True]),
    ],
)
def test_a_change_is_told_once_it_has_lasted(looks: list[frozenset[str] | None], told: list[bool]) -> None:
    changes = Changes(FIRST)
    assert [changes.look(look) for look in looks] == told


def driver(sysfs: Path, *addresses: str) -> None:
    for address in addresses:
        (sysfs / "bus/pci/drivers/i915" / address).mkdir(parents=True)


def test_a_lost_device_that_left_its_driver_was_pulled_out(tmp_path: Path) -> None:
    driver(tmp_path, "0000:03:00.0", "0000:04:00.0")
    departures = Departures(tmp_path)
    departures.look(SECOND, FIRST, 1, 0.0)
    assert departures.gone == set()  # it is there and broken

    (tmp_path / "bus/pci/drivers/i915/0000:03:00.0").rmdir()
    departures.look(SECOND, FIRST, 1, 0.1)
    assert (departures.gone, departures.back) == ({"0000:03:00.0"}, False)

    driver(tmp_path, "0000:03:00.0")
    departures.look(SECOND, FIRST, 1, 0.2)
    assert (departures.gone, departures.back) == ({"0000:03:00.0"}, True)  # another one, of which the library knows not

    departures.look(SECOND, (), 2, 0.3)  # it was enumerated
    assert (departures.gone, departures.back) == (set(), False)


def test_one_that_came_and_went_while_nobody_looked_has_left(tmp_path: Path) -> None:
    driver(tmp_path, "0000:04:00.0")
    departures = Departures(tmp_path)
    departures.look(SECOND, {"0000:03:00.0"}, 1, 0.0)
    assert departures.gone == {"0000:03:00.0"}


def test_the_only_one_that_was_plugged_in_after_the_start_has_left(tmp_path: Path) -> None:
    departures = Departures(tmp_path)
    driver(tmp_path, "0000:03:00.0")
    departures.look(FIRST, (), 1, 0.0)
    (tmp_path / "bus/pci/drivers/i915/0000:03:00.0").rmdir()
    departures.look(FIRST, FIRST, 1, 0.0)
    assert departures.gone == {"0000:03:00.0"}


def test_a_device_that_is_not_called_lost_has_left_its_driver_when_that_has_lasted(tmp_path: Path) -> None:
    driver(tmp_path, "0000:03:00.0", "0000:04:00.0")
    departures = Departures(tmp_path)
    departures.look(SECOND, (), 1, 0.0)
    (tmp_path / "bus/pci/drivers/i915/0000:03:00.0").rmdir()
    departures.look(SECOND, (), 1, 10.0)
    driver(tmp_path, "0000:03:00.0")
    departures.look(SECOND, (), 1, 10.0 + SETTLED)
    assert departures.gone == set()  # it was bound anew

    (tmp_path / "bus/pci/drivers/i915/0000:03:00.0").rmdir()
    departures.look(SECOND, (), 1, 20.0)
    assert departures.gone == set()
    for enumeration in (1, 2):  # the library lists it still when it was asked anew
        departures.look(SECOND, (), enumeration, 20.0 + SETTLED)
        assert (departures.gone, departures.back) == ({"0000:03:00.0"}, False)


def test_what_sysfs_never_had_cannot_have_left(tmp_path: Path) -> None:
    departures = Departures(tmp_path)
    for now in (0.0, SETTLED):
        departures.look({"0000:03:00.0"}, {"0000:03:00.0"}, 1, now)
        assert departures.gone == set()


def test_a_gpu_that_the_library_does_not_list_is_waited_for_but_not_for_ever() -> None:
    missing = Missing()

    assert not missing.look({"a"}, {"a"}, 0.0)
    assert missing.look({"a", "b"}, {"a"}, 10.0)
    assert missing.look({"a", "b"}, {"a"}, 10.0 + MISSING - 1)
    assert not missing.look({"a", "b"}, {"a"}, 10.0 + MISSING)
    assert missing.look({"a", "b", "c"}, {"a"}, 100.0)
    assert not missing.look({"a"}, {"a"}, 101.0)
    assert missing.look({"a", "b"}, {"a"}, 102.0)  # it has gone and come again
