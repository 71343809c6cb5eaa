"""The engine: each write is read back, time runs out, and what failed is put back."""

import errno
from collections.abc import Iterator
from dataclasses import dataclass, field

from provisioned import HandClock
from xpu_shared.provisioning.engine import Engine, foreseen
from xpu_shared.provisioning.plan import Check, DevicePlan, Result, Unit, Write, attribute, same
from xpu_shared.provisioning.sysfs import Sysfs


@dataclass
class Attributes:
    """A sysfs of plain attributes, some of which keep what they have or refuse."""

    values: dict[str, str]
    stubborn: frozenset[str] = frozenset()
    refused: dict[str, int] = field(default_factory=dict)
    writes: list[tuple[str, str]] = field(default_factory=list)

    def read(self, path: str) -> str:
        if path not in self.values:
            raise FileNotFoundError(errno.ENOENT, "No such file", path)
        return self.values[path]

    def write(self, path: str, text: str) -> None:
        self.writes.append((path, text))
        if path in self.refused:
            raise OSError(self.refused[path], "refused", path)
        if path not in self.stubborn:
            self.values[path] = text

    def names(self, path: str) -> list[str]:
        return []

    def target(self, path: str) -> str:
        raise FileNotFoundError

    def exists(self, path: str) -> bool:
        return path in self.values


def plan(*units: Unit, result: Result = Result.CHANGE) -> DevicePlan:
    return DevicePlan(device="d", result=result, units=units)


def unit(*names: str, undo: bool = True, **choices: object) -> Unit:
    """Writes 1 to each, where 0 was."""

    def back(_: Sysfs) -> Iterator[Write]:
        yield from (attribute(name, "0", "1") for name in names)

    writes = tuple(attribute(name, "1", "0") for name in names)
    return Unit(writes=writes, **({"undo": back} if undo else {}), **choices)  # type: ignore[arg-type]


def test_what_is_written_is_read_back() -> None:
    sysfs = Attributes({"a": "0", "b": "0"}, stubborn=frozenset({"b"}))
    outcome = Engine(sysfs, HandClock()).apply(plan(unit("a", "b")), plan)

    assert (outcome.result, outcome.wrong) == ("failed", True)
    assert outcome.messages == ("b: '1': then expected b '1', found '0'",)
    assert sysfs.values == {"a": "0", "b": "0"}


def test_a_refused_write_is_not_tried_again_and_names_path_value_and_errno() -> None:
    sysfs = Attributes({"a": "0"}, refused={"b": errno.EINVAL})
    outcome = Engine(sysfs, HandClock()).apply(plan(unit("a", "b", undo=False)), plan)

    assert sysfs.writes == [("a", "1"), ("b", "1")]
    assert outcome.messages == ("b: '1': EINVAL (refused)",)


def test_what_cannot_be_put_back_is_told_too() -> None:
    sysfs = Attributes({"a": "0"}, refused={"b": errno.EIO})
    outcome = Engine(sysfs, HandClock()).apply(plan(unit("a", "b")), plan)

    assert sysfs.values == {"a": "0"}
    assert outcome.messages[1] == "on the way back: b: '0': EIO (refused)"


def test_something_that_takes_its_time_is_waited_for_and_no_longer_than_said() -> None:
    clock = HandClock()
    slow = Write(path="a", value="x", before="", checks=(Check("state", "enabled", 5.0),))
    outcome = Engine(Attributes({"state": "disabled"}), clock).apply(plan(Unit(writes=(slow,))), plan)

    assert 5.0 <= clock.now < 5.1
    assert outcome.messages == ("a: 'x': then expected state 'enabled', found 'disabled'",)


def test_after_a_failure_others_go_on_unless_it_was_needed() -> None:
    sysfs = Attributes({}, refused={"a": errno.EIO})
    Engine(sysfs, HandClock()).apply(plan(unit("a", name="1", undo=False), unit("b", name="2")), plan)
    assert sysfs.values == {"b": "1"}

    sysfs = Attributes({}, refused={"a": errno.EIO})
    Engine(sysfs, HandClock()).apply(plan(unit("a", undo=False, needed=True), unit("b")), plan)
    assert sysfs.values == {}


def test_after_a_failure_other_writes_about_the_same_thing_are_left_out() -> None:
    sysfs = Attributes({}, refused={"a": errno.EIO})
    Engine(sysfs, HandClock()).apply(plan(unit("a", name="1", undo=False), unit("b", name="1")), plan)

    assert sysfs.values == {}


def test_a_plan_is_made_anew_once_where_it_has_to_be() -> None:
    sysfs = Attributes({})
    asked = []

    def again() -> DevicePlan:
        asked.append(1)
        return plan(unit("c", look_again=True))

    outcome = Engine(sysfs, HandClock()).apply(plan(unit("a", look_again=True), unit("b")), again)

    assert (list(sysfs.values), len(asked), outcome.result) == (["a", "c"], 1, "changed")


def test_an_errno_that_means_busy_is_no_failure() -> None:
    write = Write(path="a", value="0", before="1", checks=(), busy_errno=errno.EINVAL)
    sysfs = Attributes({"a": "1"}, refused={"a": errno.EINVAL})
    outcome = Engine(sysfs, HandClock()).apply(plan(Unit(writes=(write,))), plan)

    assert (outcome.result, outcome.wrong, outcome.writes) == ("busy", False, ())


def test_nothing_is_written_of_what_is_unchanged_busy_or_refused() -> None:
    for result in (Result.UNCHANGED, Result.BUSY, Result.REFUSED):
        sysfs = Attributes({})
        given = plan(unit("a"), result=result)
        assert Engine(sysfs, HandClock()).apply(given, plan) == foreseen(given)
        assert sysfs.writes == []


def test_numbers_are_the_same_however_they_are_spelled_and_texts_are_not() -> None:
    assert same("0x10\n", "16")
    assert same("user", "user")
    assert not same("user", "User")
    assert not same("010", "10")
