"""What each kind of option takes: Go's spellings from flags, YAML's values from files."""

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

ANY = Integer(help="any")
SMALL = Integer(help="small", minimum=1, maximum=1024)
LONG = Duration(help="long", minimum=-1e6, maximum=1e6)
ADDRESS = Address(help="where")
KINDS: list[Option[object]] = [
    Boolean(help=""),
    ANY,
    SMALL,
    Text(help=""),
    Choice(help="", values=("text", "json")),
    InstanceName(help=""),
    FilePath(help=""),
    LONG,
    ADDRESS,
]


@pytest.mark.parametrize("text", ["1", "t", "T", "true", "TRUE", "True"])
def test_what_go_takes_for_true(text: str) -> None:
    assert Boolean(help="").parse(text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "false", "FALSE", "False"])
def test_what_go_takes_for_false(text: str) -> None:
    assert Boolean(help="").parse(text) is False


@pytest.mark.parametrize("text", ["", "yes", "no", "on", "tRUE", "2", "00", " true", "true\n", "y"])
def test_what_go_takes_for_no_boolean(text: str) -> None:
    with pytest.raises(ValueError, match="expected true or false"):
        Boolean(help="").parse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("42", 42),
        ("+42", 42),
        ("-42", -42),
        ("1_000", 1000),
        ("1_0_0", 100),
        ("0x1F", 31),
        ("0X1f", 31),
        ("0x_1f", 31),
        ("-0x10", -16),
        ("0b101", 5),
        ("0B1_0", 2),
        ("0o17", 15),
        ("0O17", 15),
        ("017", 15),
        ("0_17", 15),
        ("00", 0),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
    ],
)
def test_integers_as_go_spells_them(text: str, value: int) -> None:
    assert ANY.parse(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "+",
        "1.0",
        "1e3",
        "08",
        "0x",
        "0b",
        "0o8",
        "0b2",
        "0xg",
        "1__0",
        "_1",
        "1_",
        "0_",
        "0_x1",
        "0x1_",
        "--1",
        "- 1",
        " 1",
        "1 ",
        "1\n",
        "\u0661",  # a digit elsewhere
        "9223372036854775808",
        "-9223372036854775809",
        "1" * 5000,
    ],
)
def test_what_go_takes_for_no_integer(text: str) -> None:
    with pytest.raises(ValueError, match="expected an integer"):
        ANY.parse(text)


@given(st.integers(min_value=-(2**70), max_value=2**70))
def test_an_integer_is_taken_up_to_its_bounds(value: int) -> None:
    for source in (lambda: SMALL.parse(str(value)), lambda: SMALL.parse(hex(value)), lambda: SMALL.accept(value)):
        if 1 <= value <= 1024:
            assert source() == value
        else:
            with pytest.raises(ValueError, match="expected an integer from 1 to 1024"):
                source()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("+0", 0),
        ("-0", 0),
        ("0s", 0),
        ("60s", 60),
        ("1m30s", 90),
        ("250ms", 0.25),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("1.s", 1),
        ("+5s", 5),
        ("-5s", -5),
        ("1h1h", 7200),
        ("1s1m", 61),
        ("1500us", 0.0015),
        ("1500\u00b5s", 0.0015),  # the micro sign
        ("1500\u03bcs", 0.0015),  # the Greek letter
        ("1000000ns", 0.001),
        ("2h45m30.5s", 9930.5),
    ],
)
def test_durations_as_go_spells_them(text: str, seconds: float) -> None:
    assert LONG.parse(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", "1", "-1", "0.0", "00", "s", ".s", ".", "1x", "1d", "1S", "1 s", "1e3s", "1_0s", "0x1s", "1s ", "s1", "1.2.3s"]
    + ["-", "--1s", "1s-1s", "\u0661s", "NaN", "inf", "1" * 101 + "s"],
)
def test_what_go_takes_for_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 90s or 1m30s"):
        LONG.parse(text)


def test_a_duration_says_its_bounds_as_it_takes_them() -> None:
    with pytest.raises(ValueError, match="from 1s to 24h$"):
        Duration(help="", minimum=1.0, maximum=86400.0).parse("999ms")


@pytest.mark.parametrize("value", [60, 1, -1, 0.0, 1.5, float("nan"), True, False, None, ["60s"]])
def test_a_number_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        LONG.accept(value)


def test_zero_needs_no_unit() -> None:
    assert LONG.accept(0) == 0


@given(st.integers(min_value=0, max_value=10**9))
def test_a_duration_is_shown_as_it_would_be_given(milliseconds: int) -> None:
    shown = go_duration(milliseconds / 1000)
    assert Duration(help="", maximum=1e9).parse(shown) == pytest.approx(milliseconds / 1000)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.25, "250ms"), (1, "1s"), (60, "60s"), (90, "90s"), (600, "10m"), (5400, "1h30m"), (86400, "24h")],
)
def test_durations_are_shown_as_people_write_them(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":9101", "", 9101),
        (":0", "", 0),
        ("127.0.0.1:65535", "127.0.0.1", 65535),
        ("[::1]:9101", "::1", 9101),
        ("[fe80::1%eth0]:1", "fe80::1%eth0", 1),
        ("localhost:80", "localhost", 80),
        ("node-1.example.com:80", "node-1.example.com", 80),
    ],
)
def test_listen_addresses(text: str, host: str, port: int) -> None:
    address = ADDRESS.parse(text)

    assert address == ListenAddress(host, port)
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    ["", "9101", ":", ":65536", ":-1", ":http", ":1\n", "::1:9101", "[::1]", "[::1:9101", "[:::::]:80", "[1.2.3.4]:80"]
    + ["999.1.1.1:80", "1.2.3:80", "a b:80", "http://x:80", "x/y:80", "\u0661.1.1.1:80", ":\u0661", f"{'a' * 254}:80"],
)
def test_what_is_no_listen_address(text: str) -> None:
    with pytest.raises(ValueError, match="expected an address such as :9101"):
        ADDRESS.parse(text)


@pytest.mark.parametrize(("kind", "text"), [(FilePath, ""), (FilePath, "a\0b"), (Text, "a\0b"), (Text, "a" * 4097)])
def test_texts_and_paths_have_bounds(kind: type[Text] | type[FilePath], text: str) -> None:
    with pytest.raises(ValueError, match="expected a "):
        kind(help="").parse(text)


def test_a_choice_names_all_there_are() -> None:
    with pytest.raises(ValueError, match="^expected one of text, json$"):
        Choice(help="", values=("text", "json")).parse("Text")


def test_yaml_values_of_the_right_kind_are_taken() -> None:
    assert Boolean(help="").accept(True) is True
    assert Boolean(help="").accept(0) is False  # Go's 0, which YAML reads as a number
    assert SMALL.accept(1024) == 1024


@pytest.mark.parametrize(("kind", "value"), [(ANY, True), (ANY, 1.0), (SMALL, False), (Boolean(help=""), 2)])
def test_yaml_values_of_another_kind_are_refused(kind: Option[object], value: object) -> None:
    with pytest.raises(ValueError, match="^expected "):
        kind.accept(value)


def test_a_text_that_yaml_takes_for_a_number_needs_quotes() -> None:
    with pytest.raises(ValueError, match="a pod's UID, in quotes because YAML does not take it for a text$"):
        InstanceName(help="").accept(5)
    with pytest.raises(ValueError, match="^expected one of text, json$"):
        Choice(help="", values=("text", "json")).accept(5)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
@given(value=st.none() | st.binary() | st.lists(st.integers()) | st.dictionaries(st.text(), st.text()) | st.floats())
def test_whatever_a_file_has_a_kind_takes_it_or_says_what_it_expects(kind: Option[object], value: object) -> None:
    with pytest.raises(ValueError, match=f"^expected {kind.allowed[:20]}".replace("[", r"\[")):
        kind.accept(value)
