"""Which modules of ours a program imports: read from the sources, so that imports inside of functions count too."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).parents[2]
ROOTS = tuple(PROJECT / name for name in ("plugins", "sidecars", "shared"))  # packages of the wheel are below them


def reached(modules: Iterable[str]) -> frozenset[str]:
    """These modules of ours and all that they import of ours, however far it goes."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found and (source := _source(module)):
            found.add(module)
            waiting += _imported(source)
    return frozenset(found)


def _source(module: str) -> Path | None:
    """The file of a module of ours; None for others' modules and for names that are no modules."""
    for root in ROOTS:
        place = root.joinpath(*module.split("."))
        for file in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if file.is_file():
                return file
    return None


@cache
def _imported(source: Path) -> tuple[str, ...]:
    return tuple(_names(ast.parse(source.read_text())))


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)  # which may be modules
