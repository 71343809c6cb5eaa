from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.program.yaml_file import DEEPEST, LARGEST_FILE, YamlError, parse, read

FILE = Path("node.yaml")


def test_values_and_the_lines_they_are_in() -> None:
    document = parse("a: 1\nb:\n  - x: true\n    y: null\n  - 2.5\n", FILE)

    assert document.value == {"a": 1, "b": [{"x": True, "y": None}, 2.5]}
    assert document.place(("b", 0, "y")) == "node.yaml:4"
    assert document.place(("b", 1)) == "node.yaml:5"
    assert document.place(("b", 0, "absent")) == "node.yaml:3"
    assert document.place(()) == "node.yaml:1"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: 1\na: 2", ":2: key 'a' is given twice"),
        ("a: &x 1\nb: *x", ":2: aliases"),
        ("a: !!python/object:os.system 1", ":1: '1': tags"),
        ("a: !mine 1", ":1: '1': tags"),
        ("a: !!binary aGk=", ":1: 'aGk=': tags"),
        ("a: 1\n<<: {b: 2}", ":2: '<<': tags"),
        ("1: a", ":1: key 1: expected a text"),
        ("[a]: 1", ":1: a map or list cannot be a key"),
        ("a: 1\n---\nb: 2", ":2: "),
        ("a: [1, 2", ":1: "),
        ("a: 'x", ":1: "),
        ("\t", ":1: "),
        ("[" * 40, f":1: nested deeper than {DEEPEST}"),
    ],
)
def test_what_is_refused_is_refused_with_its_line(text: str, error: str) -> None:
    with pytest.raises(YamlError) as raised:
        parse(text, FILE)

    assert f"node.yaml{error}" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("text", "value"), [("a: 2026-11-24", "2026-11-24"), (f"a: {'9' * 5000}", "9" * 5000)])
def test_what_python_has_another_type_for_stays_text(text: str, value: str) -> None:
    assert parse(text, FILE).value == {"a": value}


def test_files_that_are_no_yaml_of_a_reasonable_size_are_named(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(YamlError, match=r"x\.yaml: not UTF-8"):
        read(file)
    file.write_bytes(b"a" * (LARGEST_FILE + 1))
    with pytest.raises(YamlError, match=r"x\.yaml: larger than"):
        read(file)


def test_a_windows_file_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"a: 1\r\nb: 2\r\n")
    assert read(tmp_path / "x.yaml").value == {"a": 1, "b": 2}


@given(st.one_of(st.text(max_size=60), st.text(alphabet="a:- \n[]{}#&*!|>'\"%@`,?<0.=~", max_size=40)))
def test_any_text_is_a_value_or_one_line(text: str) -> None:
    refusal = ""
    try:
        parse(text, FILE)
    except YamlError as error:
        refusal = str(error)
    assert "\n" not in refusal
