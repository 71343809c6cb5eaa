"""A sysfs whose writes do what the kernel does, over a simulated tree: refused with its errno, or seen in the tree.

It has the members of `xpu_shared.provisioning.sysfs.Sysfs`, so that a provisioner runs on it as on a node. It is a
Python interface: a plain file of a tree can be written, but refuses nothing and causes nothing.
"""

import errno
import os
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Protocol

from xpu_shared.provisioning.sysfs import NodeSysfs
from xpu_simulator.entries import Attribute, Directory, Entry
from xpu_simulator.tree import SimulatedTree


class Driven(Protocol):
    """The devices of a driver: they know the files that can be written to."""

    def write(self, path: PurePosixPath, text: str) -> bool:
        """Do what a write to a file does; False when the file is none of theirs.

        Args:
            path: below sysfs, without links.
        Raises:
            OSError: the kernel refuses it.
        """


class SimulatedSysfs:
    def __init__(self, tree: SimulatedTree, *driven: Driven) -> None:
        self.tree = tree
        self._driven: Sequence[Driven] = driven
        self._files = NodeSysfs(tree.sysfs)
        self._root = os.path.realpath(tree.sysfs)

    def read(self, path: str) -> str:
        return self._files.read(path)

    def names(self, path: str) -> list[str]:
        return self._files.names(path)

    def target(self, path: str) -> str:
        return self._files.target(path)

    def exists(self, path: str) -> bool:
        return self._files.exists(path)

    def write(self, path: str, text: str) -> None:
        real = os.path.realpath(f"{self._root}/{path}", strict=True)
        if os.path.isdir(real):  # noqa: PTH112 - paths are text
            raise refused(errno.EISDIR, path)
        place = PurePosixPath(os.path.relpath(real, self._root))
        if not any(driven.write(place, text.strip()) for driven in self._driven):
            raise refused(errno.EACCES, path)


def refused(number: int, path: object) -> OSError:
    return OSError(number, os.strerror(number), str(path))


def driver_files(tree: SimulatedTree, bus: PurePosixPath, drivers: Iterable[str]) -> None:
    """The files of drivers that devices are bound and unbound by."""
    for driver in drivers:
        for name in ("bind", "unbind"):
            path = tree.root / bus / "drivers" / driver / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def change(tree: SimulatedTree, before: Iterable[Entry], after: Iterable[Entry]) -> None:
    """Make the tree show other entries: what is in both stays as it is."""
    old, new = {entry.path: entry for entry in before}, {entry.path: entry for entry in after}
    gone = [entry for path, entry in old.items() if new.get(path) != entry and not _rewritten(entry, new.get(path))]
    tree.erase(gone)
    for path, entry in new.items():
        if old.get(path) == entry:
            continue
        if isinstance(entry, Attribute) and _rewritten(old.get(path), entry):
            (tree.root / path).write_text(f"{entry.text}\n", encoding="utf-8")
        else:
            tree.write([entry])


def _rewritten(before: Entry | None, after: Entry | None) -> bool:
    return isinstance(before, Attribute | Directory) and type(before) is type(after)
