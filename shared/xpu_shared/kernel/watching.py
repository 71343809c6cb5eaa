"""Directories watched with inotify, also while they do not exist: then the nearest directory above is watched.

The kernel's own event comes before udev's links, and a kubelet's restart is seen by its files: both are changes of
directories. A change is a reason to look, nothing more; what changed is for the looker to find out.
"""

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

from asyncinotify import Event, Inotify, Mask, Watch

from xpu_shared.program.logs import Log

CHANGES = Mask.CREATE | Mask.DELETE | Mask.MOVED_FROM | Mask.MOVED_TO | Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.ONLYDIR

log = Log("watching")


class DirectoryWatcher:
    """Calls each directory's `on_change` after something in it, or it itself, appeared or went."""

    def __init__(self) -> None:
        self._on_change: dict[Path, list[Callable[[], None]]] = {}
        self._watches: dict[Path, Watch] = {}
        self._refused: set[Path] = set()
        self._inotify: Inotify | None = None

    def watch(self, directory: Path, on_change: Callable[[], None]) -> None:
        """Add a directory; before `run` or while it runs."""
        self._on_change.setdefault(directory, []).append(on_change)
        if self._inotify is not None:
            self._arm(self._inotify)

    async def run(self) -> None:
        """Watch until cancelled. Without inotify (limits of the machine) it says so once and ends."""
        try:
            inotify = Inotify()
        except OSError as error:
            log.warning("no inotify, changes are found by polling", error=error)
            return
        with inotify:
            self._inotify = inotify
            self._watches.clear()
            self._refused.clear()
            self._arm(inotify)
            async for event in inotify:
                self._handle(inotify, event)

    def _handle(self, inotify: Inotify, event: Event) -> None:
        place = event.watch.path if event.watch is not None else None  # None: events were lost, all may have changed
        if place is not None and event.mask & Mask.IGNORED:
            self._watches.pop(place, None)
        elif place is not None and event.mask & Mask.MOVE_SELF:
            self._unwatch(inotify, place)
        for directory in _concerned(self._on_change, place, event.name):
            for on_change in self._on_change[directory]:
                on_change()
        self._arm(inotify)

    def _unwatch(self, inotify: Inotify, place: Path) -> None:
        watch = self._watches.pop(place, None)
        if watch is not None:
            with contextlib.suppress(OSError):  # the directory went, and its watch with it
                inotify.rm_watch(watch)

    def _arm(self, inotify: Inotify) -> None:
        """Watch each directory, or the nearest one above that exists, and nothing else."""
        needed = {self._armed(inotify, directory) for directory in self._on_change}
        for place in self._watches.keys() - needed:
            self._unwatch(inotify, place)

    def _armed(self, inotify: Inotify, directory: Path) -> Path:
        while True:
            place = next(path for path in (directory, *directory.parents) if path == path.parent or _is_directory(path))
            if place in self._watches or place in self._refused:
                return place
            try:
                self._watches[place] = inotify.add_watch(place, CHANGES)
            except FileNotFoundError:
                continue  # it went just now
            except OSError as error:
                self._refused.add(place)
                log.warning("cannot watch a directory, changes are found by polling", directory=place, error=error)
            # Look again: a directory below may have appeared before this watch was there.


def _is_directory(path: Path) -> bool:
    """False also where nothing may be looked at."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _concerned(directories: Iterable[Path], place: Path | None, name: Path | None) -> list[Path]:
    """The directories that an event is about: the place itself, or those on whose way the name lies."""
    if place is None or name is None:
        return list(directories)
    return [
        directory
        for directory in directories
        if directory == place or (place / name) in (directory, *directory.parents)
    ]
