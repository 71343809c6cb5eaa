"""Endpoints as options, and flags that may be given several times."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.program.endpoints import LONGEST_PATH, Endpoints
from xpu_shared.program.flags import UsageError, parse
from xpu_shared.program.options import Integer, Option

KIND = Endpoints(help="")
OPTIONS: dict[str, Option[Any]] = {"at": KIND, "n": Integer(help="")}


@pytest.mark.parametrize(
    "text",
    [
        "ipc:///run/xpu/a.sock",
        "ipc:///" + "x" * (LONGEST_PATH - 1),
        "tcp://10.0.0.7:5556",
        "tcp://[::1]:1",
        "tcp://h-1.x:65535",
    ],
)
def test_what_names_one_is_taken_as_it_is(text: str) -> None:
    assert KIND.parse(text) == (text,)
    assert KIND.show(KIND.parse(text)) == text


@given(st.text() | st.from_regex(r"(ipc|tcp)://.*", fullmatch=True))
def test_any_text_is_taken_or_refused(text: str) -> None:
    refusal = f"expected {KIND.allowed}"
    try:
        taken = KIND.parse(text)
    except ValueError as error:
        refusal, taken = str(error), ()
    assert refusal == f"expected {KIND.allowed}"
    assert taken in ((), (text,))
    assert not taken or (text.isprintable() and re.match("ipc:///|tcp://.", text))


def test_a_path_is_measured_in_bytes() -> None:
    with pytest.raises(ValueError, match="at most 107 bytes"):
        KIND.parse("ipc:///" + "ä" * 54)


@pytest.mark.parametrize("path", ["/", "/run/xpu/", "/run/xpu/.", "/run/.."])
def test_a_directory_is_no_socket(path: str) -> None:
    with pytest.raises(ValueError, match=r"^expected ipc://"):
        KIND.parse(f"ipc://{path}")


def test_a_file_may_have_a_text_or_a_list_of_texts() -> None:
    assert KIND.accept("ipc:///a") == ("ipc:///a",)
    assert KIND.accept(["ipc:///a", "ipc:///b", "ipc:///a"]) == ("ipc:///a", "ipc:///b")
    assert KIND.accept([]) == ()


@pytest.mark.parametrize("value", [None, 5, {"ipc:///a": 1}, ["ipc:///a", None], [["ipc:///a"]], ["nonsense"], True])
def test_a_file_that_has_anything_else_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"^expected ipc://"):
        KIND.accept(value)


class TestRepeatedFlags:
    def test_one_that_may_be_repeated_adds_up_without_doubles(self) -> None:
        parsed = parse(["-at=ipc:///a", "--at", "ipc:///b", "-at=ipc:///a"], OPTIONS)

        assert parsed.values == {"at": ("ipc:///a", "ipc:///b")}
        assert parsed.texts == {"at": ["ipc:///a", "ipc:///b", "ipc:///a"]}

    def test_of_any_other_the_last_one_counts(self) -> None:
        assert parse(["-n=1", "-n=2"], OPTIONS).values == {"n": 2}

    def test_a_bad_one_among_them_is_named(self) -> None:
        with pytest.raises(UsageError, match=r"^flag --at: expected ipc://.*, found 'b'$"):
            parse(["-at=ipc:///a", "-at=b"], OPTIONS)
