"""YAML files that try to be too much, and how pydantic's errors find their line."""

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from xpu_shared.program.yaml_file import LARGEST_FILE, YamlError, describe, parse, read

FILE = Path("node.yaml")


def refusal(text: str) -> str:
    with pytest.raises(YamlError) as raised:
        parse(text, FILE)
    assert len(str(raised.value).splitlines()) == 1
    return str(raised.value)


@pytest.mark.parametrize("text", ["!!bool maybe", "!!int ''", "!!float ''", "!!str 1", "!!set {}", "!mine []", "! 1"])
def test_tags_of_scalars_lists_and_maps_are_refused(text: str) -> None:
    assert refusal(f"a:\n  {text}").endswith("tags and merge keys are not allowed")
    assert refusal(f"a:\n  {text}").startswith("node.yaml:2: ")


def test_a_second_document_is_refused_with_its_line() -> None:
    assert refusal("a: 1\n---\nb: 2\n").startswith("node.yaml:2: expected a single document")


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "no",
        "on",
        "off",
        "1:30",
        "1__0",
        "1_",
        "0x_",
        "=",
        "2026-11-24",
        f"1{':1' * 400}.5",
        f"1{':1' * 300_000}",
    ],
    ids=lambda text: text[:10],
)
def test_what_is_no_number_or_boolean_to_go_stays_text(text: str) -> None:
    assert parse(f"a: {text}", FILE).value == {"a": text}


@pytest.mark.parametrize(("text", "value"), [("0x10", 16), ("010", 8), ("1_000", 1000), ("-3", -3), ("0b11", 3)])
def test_integers_are_as_go_reads_them(text: str, value: int) -> None:
    assert parse(f"a: {text}", FILE).value == {"a": value}


@pytest.mark.parametrize("text", ["[" * 500_000, "{a: " * 250_000, "- " * 500_000, "a: &b [x]\n" + "c: *b\n" * 9])
def test_files_that_are_small_but_would_become_large_are_refused(text: str) -> None:
    assert refusal(text).startswith("node.yaml:")


def test_thirty_two_levels_are_deep_enough() -> None:
    assert parse("[" * 32 + "]" * 32, FILE).value
    assert refusal("- " * 33) == "node.yaml:1: nested deeper than 32"


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text(f"a: {'x' * (LARGEST_FILE - 4)}\n")
    assert len(read(path).value["a"]) == LARGEST_FILE - 4


def test_bytes_that_are_no_text_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(YamlError, match=r"odd\.yaml: not UTF-8 in line 2$"):
        read(path)


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("expected an even\nnumber")
    return value


class Slot(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: Annotated[int, AfterValidator(_even)]
    names: list[str] = []


class Rack(BaseModel):
    slots: dict[str, list[Slot]]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("slots:\n  a:\n  - number: 2\n  - number: 3\n", ":4: slots.a.1.number: expected an even number, found 3"),
        ("slots:\n  a:\n  - number: 2\n    nmaes: []\n", ":4: unknown key 'slots.a.0.nmaes'"),
        ("slots:\n  a:\n  - names: []\n", ":3: slots.a.0.number: Field required"),
        (
            "slots:\n  a:\n  - number: 2\n    names:\n    - x\n    - 5\n",
            ":6: slots.a.0.names.1: a valid string, found 5",
        ),
        ('slots:\n  "a\\nb":\n  - number: 1\n', ":3: 'slots.a\\nb.0.number': expected an even number, found 1"),
        (f"slots:\n  {'k' * 500}: 1\n", f":2: 'slots.{'k' * 113}…: a valid list, found 1"),
        ("slots: {a: [{number: 2}, 7]}\n", ":1: slots.a.1: a valid dictionary or instance of Slot, found 7"),
    ],
)
def test_an_error_of_a_model_is_one_line_at_the_place_of_the_value(text: str, error: str) -> None:
    document = parse(text, FILE)
    with pytest.raises(ValidationError) as raised:
        Rack.model_validate(document.value)

    assert describe(raised.value, document) == f"node.yaml{error}"
