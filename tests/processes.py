"""What a process has started, as the kernel tells."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def children_of(pid: int) -> list[int]:
    """The process ids of its children, by whichever of its threads; a thread that ends meanwhile has none."""
    return [child for thread in Path(f"/proc/{pid}/task").iterdir() for child in _children(thread)]


def descendants_of(pid: int) -> list[int]:
    """Children, and theirs."""
    found = children_of(pid)
    return [*found, *(further for child in found for further in descendants_of(child))]


def _children(thread: Path) -> Iterator[int]:
    with suppress(FileNotFoundError, ProcessLookupError):
        yield from map(int, (thread / "children").read_text().split())
