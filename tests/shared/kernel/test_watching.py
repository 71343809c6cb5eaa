import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from xpu_shared.kernel.watching import DirectoryWatcher


class Seen:
    """Changes of one directory, as they are told."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        self._event.set()

    async def change(self) -> None:
        await asyncio.wait_for(self._event.wait(), 5)
        self._event.clear()

    @property
    def told(self) -> bool:
        return self._event.is_set()


@asynccontextmanager
async def watching(*directories: Path) -> AsyncIterator[list[Seen]]:
    watcher = DirectoryWatcher()
    seen = [Seen() for _ in directories]
    for directory, one in zip(directories, seen, strict=True):
        watcher.watch(directory, one.tell)
    task = asyncio.create_task(watcher.run())
    await asyncio.sleep(0)  # let it arm its watches, which takes no time of its own
    yield seen
    task.cancel()
    await asyncio.wait({task})


async def test_files_that_come_and_go_are_told(tmp_path: Path) -> None:
    async with watching(tmp_path) as (seen,):
        (tmp_path / "a").touch()
        await seen.change()
        (tmp_path / "a").rename(tmp_path / "b")
        await seen.change()
        (tmp_path / "b").unlink()
        await seen.change()


async def test_a_directory_that_appears_later_is_told_and_watched(tmp_path: Path) -> None:
    directory = tmp_path / "dev/dri/by-path"
    async with watching(directory) as (seen,):
        directory.mkdir(parents=True)
        await seen.change()
        await asyncio.sleep(0)
        (directory / "link").symlink_to("x")
        await seen.change()


async def test_a_directory_that_goes_and_comes_back_is_watched_again(tmp_path: Path) -> None:
    directory = tmp_path / "by-path"
    directory.mkdir()
    async with watching(directory) as (seen,):
        directory.rmdir()
        await seen.change()
        directory.mkdir()
        await seen.change()
        (directory / "link").symlink_to("x")
        await seen.change()


async def test_a_directory_that_is_moved_away_is_not_followed(tmp_path: Path) -> None:
    directory = tmp_path / "by-path"
    directory.mkdir()
    async with watching(directory) as (seen,):
        directory.rename(tmp_path / "elsewhere")
        await seen.change()
        directory.mkdir()
        await seen.change()
        (directory / "link").symlink_to("x")
        await seen.change()


async def test_neighbours_of_an_absent_directory_are_not_told(tmp_path: Path) -> None:
    async with watching(tmp_path / "dri/by-path", tmp_path) as (absent, parent):
        (tmp_path / "unrelated").touch()
        await parent.change()

        assert not absent.told
