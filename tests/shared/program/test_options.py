import math

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
    go_duration,
)

INTEGER = Integer(help="", minimum=-100, maximum=2000)
DURATION = Duration(help="", minimum=0, maximum=86400)
ADDRESS = Address(help="")


@pytest.mark.parametrize("text", ["1", "t", "T", "true", "TRUE", "True"])
def test_true_as_go_has_it(text: str) -> None:
    assert Boolean(help="").parse(text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "false", "FALSE", "False"])
def test_false_as_go_has_it(text: str) -> None:
    assert Boolean(help="").parse(text) is False


@pytest.mark.parametrize("text", ["", "yes", "on", "TrUe", "2", " true"])
def test_other_words_are_no_booleans(text: str) -> None:
    with pytest.raises(ValueError, match="true or false"):
        Boolean(help="").parse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("42", 42),
        ("-7", -7),
        ("+7", 7),
        ("0x1F", 31),
        ("0X1f", 31),
        ("0b101", 5),
        ("0o17", 15),
        ("017", 15),
        ("0_17", 15),
        ("1_000", 1000),
        ("0x_1f", 31),
    ],
)
def test_integers_as_go_has_them(text: str, value: int) -> None:
    assert INTEGER.parse(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "1.0",
        "1e3",
        "0x",
        "0b",
        "0o",
        "08",
        "1__0",
        "_1",
        "1_",
        "--1",
        "four",
        "٣",
        "2001",
        "-101",
        "9" * 500,
    ],
)
def test_other_texts_are_no_integers_in_range(text: str) -> None:
    with pytest.raises(ValueError, match="an integer from -100 to 2000"):
        INTEGER.parse(text)


@given(st.integers(min_value=-100, max_value=2000))
def test_every_integer_in_range_is_read_back(value: int) -> None:
    assert INTEGER.parse(str(value)) == INTEGER.accept(value) == value


@pytest.mark.parametrize("value", [True, 1.5, None, [], 5000])
def test_yaml_values_of_other_kinds_are_no_integers(value: object) -> None:
    with pytest.raises(ValueError, match="an integer"):
        INTEGER.accept(value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("60s", 60), ("1m30s", 90), ("250ms", 0.25), ("1.5h", 5400), (".5s", 0.5), ("1.s", 1), ("1h1m1s", 3661)],
)
def test_durations_as_go_has_them(text: str, seconds: float) -> None:
    assert math.isclose(DURATION.parse(text), seconds)


@pytest.mark.parametrize("text", ["", "60", "1", "s", "1 s", "-1s", "+1s", "1d", "1m30", "1e3s", ".s", "1.5.5s", "25h"])
def test_other_texts_are_no_durations_in_range(text: str) -> None:
    with pytest.raises(ValueError, match="from 0s to 24h"):
        DURATION.parse(text)


@pytest.mark.parametrize("value", [60, 1.5, True, None, [], {}])
def test_yaml_numbers_without_a_unit_are_no_durations(value: object) -> None:
    with pytest.raises(ValueError, match="a duration"):
        DURATION.accept(value)


def test_the_number_0_is_a_duration() -> None:
    assert DURATION.accept(0) == 0


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (60, "1m"), (600, "10m"), (90, "1m30s"), (0.25, "0.25s"), (3600, "1h")]
)
def test_durations_are_shown_as_go_reads_them(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text


@given(st.integers(min_value=0, max_value=86_400_000))
def test_a_shown_duration_is_read_back(milliseconds: int) -> None:
    assert math.isclose(DURATION.parse(go_duration(milliseconds / 1000)), milliseconds / 1000)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":9101", "", 9101),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("[::1]:9101", "::1", 9101),
        ("localhost:80", "localhost", 80),
    ],
)
def test_addresses_as_go_has_them(text: str, host: str, port: int) -> None:
    address = ADDRESS.parse(text)

    assert address == ListenAddress(host, port)
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", "9101", "localhost", ":", ":x", ":65536", ":-1", "::1:80", "[::1]", "a b:80", "h:٣"]
)
def test_other_texts_are_no_addresses(text: str) -> None:
    with pytest.raises(ValueError, match="an address such as"):
        ADDRESS.parse(text)


@pytest.mark.parametrize(
    ("option", "good", "bad"),
    [
        (Choice(help="", values=("a", "b")), "b", "c"),
        (Text(help="", longest=3), "abc", "abcd"),
        (Text(help=""), "x", "x\0"),
        (FilePath(help=""), "/x", ""),
        (FilePath(help=""), "x", "x\0"),
        (InstanceName(help=""), "7f3a-1", "a/b"),
    ],
)
def test_each_kind_says_what_it_allows(option: Option[object], good: str, bad: str) -> None:
    assert str(option.parse(good)) == good
    with pytest.raises(ValueError, match=r"^expected "):
        option.parse(bad)
