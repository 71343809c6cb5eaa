from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.program.flags import HelpRequested, UsageError, parse
from xpu_shared.program.options import Boolean, Integer, Option, Text

OPTIONS: Mapping[str, Option[Any]] = {
    "shared-dev-num": Integer(help="", minimum=1, maximum=9),
    "enable": Boolean(help=""),
    "v": Text(help=""),
}


@pytest.mark.parametrize(
    "arguments", [["-shared-dev-num", "4"], ["--shared-dev-num", "4"], ["-shared-dev-num=4"], ["--shared-dev-num=4"]]
)
def test_one_or_two_dashes_with_or_without_an_equals_sign(arguments: list[str]) -> None:
    assert parse(arguments, OPTIONS).values == {"shared-dev-num": 4}


def test_a_boolean_takes_a_value_only_with_an_equals_sign() -> None:
    assert parse(["-enable"], OPTIONS).values == {"enable": True}
    assert parse(["-enable=false"], OPTIONS).values == {"enable": False}
    assert parse(["-enable", "false"], OPTIONS).words == ["false"]


def test_words_may_stand_anywhere_and_two_dashes_end_the_flags() -> None:
    parsed = parse(["one", "-v", "x", "two", "-", "--", "-v"], OPTIONS)

    assert parsed.words == ["one", "two", "-", "-v"]
    assert parsed.values == {"v": "x"}


def test_the_last_of_equal_flags_counts() -> None:
    assert parse(["-v=1", "--v", "2"], OPTIONS).values == {"v": "2"}


def test_a_value_may_look_like_a_flag() -> None:
    assert parse(["-v", "-enable"], OPTIONS).values == {"v": "-enable"}


@pytest.mark.parametrize("argument", ["-h", "-help", "--help"])
def test_help_is_asked_for(argument: str) -> None:
    with pytest.raises(HelpRequested):
        parse([argument], OPTIONS)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--shard-dev-num=4"], "unknown flag '--shard-dev-num=4'; did you mean --shared-dev-num?"),
        (["--zzz"], "unknown flag '--zzz'; --help lists the flags"),
        (["--shared-dev-num"], "flag --shared-dev-num needs a value: expected an integer from 1 to 9"),
        (["--shared-dev-num=0"], "flag --shared-dev-num: expected an integer from 1 to 9, found '0'"),
        (["--enable=maybe"], "flag --enable: expected true or false, found 'maybe'"),
        (["--shared-dev-num=a\nb"], r"flag --shared-dev-num: expected an integer from 1 to 9, found 'a\nb'"),
    ],
)
def test_an_error_names_flag_value_and_what_is_allowed(arguments: list[str], text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(arguments, OPTIONS)

    assert str(raised.value) == text


words = st.one_of(
    st.text(max_size=10), st.sampled_from(["-enable", "--v", "-shared-dev-num=3", "--", "=", "-=", "---v"])
)


@given(st.lists(words, max_size=6))
def test_any_command_line_is_taken_or_refused_in_one_line(arguments: list[str]) -> None:
    refusal = ""
    with suppress(HelpRequested):
        try:
            parse(arguments, OPTIONS)
        except UsageError as error:
            refusal = str(error)
    assert "\n" not in refusal
    assert len(refusal) < 400
