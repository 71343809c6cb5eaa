"""What is special about kinds of options: bounds, hostile texts, and values from YAML that are no texts."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.program.options import (
    Address,
    Boolean,
    Choice,
    Duration,
    FilePath,
    InstanceName,
    Integer,
    ListenAddress,
    Option,
    Text,
)

ANY = Integer(help="")
SMALL = Integer(help="", minimum=1, maximum=1024)
DURATION = Duration(help="")
CHOICE = Choice(help="", values=("text", "json"))
KINDS: list[Option[Any]] = [
    Boolean(help=""),
    ANY,
    SMALL,
    Text(help=""),
    CHOICE,
    InstanceName(help=""),
    FilePath(help=""),
    DURATION,
    Address(help=""),
]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-0", 0),
        ("00", 0),
        ("-0x10", -16),
        ("0B1_0", 2),
        ("0O1_7", 15),
        ("1_0_0", 100),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
    ],
)
def test_integers_have_go_s_prefixes_and_64_bits(text: str, value: int) -> None:
    assert ANY.parse(text) == value


@pytest.mark.parametrize(
    "text",
    ["-", "0_", "0_x1", "0x1_", "0xg", "0b2", "0o8", "- 1", "1\n", "9223372036854775808", "-9223372036854775809"],
)
def test_what_is_no_integer_of_64_bits(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected an integer$"):
        ANY.parse(text)


@given(st.integers(min_value=-(2**70), max_value=2**70))
def test_flag_and_file_have_the_same_bounds(value: int) -> None:
    if 1 <= value <= 1024:
        assert SMALL.parse(str(value)) == SMALL.parse(hex(value)) == SMALL.accept(value) == value
        return
    with pytest.raises(ValueError, match="an integer from 1 to 1024"):
        SMALL.parse(str(value))
    with pytest.raises(ValueError, match="an integer from 1 to 1024"):
        SMALL.accept(value)


@pytest.mark.parametrize("text", ["1500us", "1500\u00b5s", "1500\u03bcs", "1500000ns", "1.5ms"])
def test_small_units_of_durations(text: str) -> None:
    assert DURATION.parse(text) == pytest.approx(0.0015)


@pytest.mark.parametrize(
    "text", ["0.0", "00", ".", "1S", "1_0s", "0x1s", "1s ", "\u0661s", "NaN", "inf", f"{'1' * 9999}s"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected a duration such as 90s or 1m30s, from 0s to 168h$"):
        DURATION.parse(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("[fe80::1%eth0]:1", ListenAddress("fe80::1%eth0", 1)),
        ("node-1.example.com:65535", ListenAddress("node-1.example.com", 65535)),
    ],
)
def test_listen_addresses(text: str, address: ListenAddress) -> None:
    assert Address(help="").parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "[:::::]:80",
        "[1.2.3.4]:80",
        "[::1:80",
        "999.1.1.1:80",
        "1.2.3:80",
        ":1\n",
        "x/y:80",
        ":\u0661",
        f"{'a' * 254}:1",
    ],
)
def test_an_address_that_no_machine_has_is_refused_at_once(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected an address such as :9101 or 127\.0\.0\.1:9101$"):
        Address(help="").parse(text)


def test_go_s_1_and_0_are_numbers_in_yaml() -> None:
    assert (Boolean(help="").accept(1), Boolean(help="").accept(0)) == (True, False)
    with pytest.raises(ValueError, match=r"^expected true or false$"):
        Boolean(help="").accept(2)


def test_a_text_that_yaml_takes_for_a_number_needs_quotes() -> None:
    with pytest.raises(ValueError, match=r"a pod's UID, in quotes because YAML does not take it for a text$"):
        InstanceName(help="").accept(5)
    with pytest.raises(ValueError, match=r"^expected one of text, json$"):  # quotes would not help
        CHOICE.accept(5)


@pytest.mark.parametrize("kind", KINDS, ids=["boolean", "any", "small", "text", "choice", "name", "path", "time", "at"])
@given(value=st.none() | st.binary() | st.lists(st.integers()) | st.dictionaries(st.text(), st.text()))
def test_other_values_are_refused_with_what_is_allowed(kind: Option[Any], value: object) -> None:
    with pytest.raises(ValueError, match=f"^expected {re.escape(kind.allowed)}$"):
        kind.accept(value)


@pytest.mark.parametrize("kind", KINDS, ids=["boolean", "any", "small", "text", "choice", "name", "path", "time", "at"])
@given(text=st.text())
def test_any_text_is_taken_or_refused(kind: Option[Any], text: str) -> None:
    refusal = f"expected {kind.allowed}"
    try:
        kind.parse(text)
    except ValueError as error:
        refusal = str(error)
    assert refusal == f"expected {kind.allowed}"
