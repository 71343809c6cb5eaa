"""Every example of the corpus, findings among them, as a test; and that a target would find something."""

from pathlib import Path

import pytest

from fuzz import targets
from fuzz.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "DIRECTORY", tmp_path)


@pytest.mark.parametrize("name", TARGETS)
def test_the_examples_of_each_target_break_nothing(name: str) -> None:
    examples = sorted((CORPUS / name).iterdir())
    assert examples
    for example in examples:
        TARGETS[name](example.read_bytes())


def test_a_target_finds_what_a_parser_lets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "LARGEST_NODE", 0)

    with pytest.raises(AssertionError):
        TARGETS["sysfs"](b"1\n")
