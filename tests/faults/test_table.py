"""The table of faults is what tests hold, and what docs/faults.md shows."""

import ast
from pathlib import Path

import pytest

from faults.table import TABLE, Fault, page

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs/faults.md"


@pytest.mark.parametrize(
    "fault", [fault for faults in TABLE.values() for fault in faults], ids=lambda fault: fault.what
)
def test_each_fault_is_held_by_tests_that_exist(fault: Fault) -> None:
    assert fault.tests
    for place in fault.tests:
        file, _, name = place.partition("::")
        folder, _, stem = file.rpartition("/")
        tree = ast.parse((TESTS / folder / f"test_{stem}.py").read_text())
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        names += [
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        ]
        assert {f"test_{name}", name} & set(names), place


def test_the_page_shows_the_table() -> None:
    """To renew it, put what `PYTHONPATH=tests .venv/bin/python -m faults.table` prints below its introduction."""
    assert PAGE.read_text().endswith(f"\n{page()}")
