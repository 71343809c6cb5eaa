import asyncio

import pytest

from xpu_shared import family
from xpu_shared.family import supervised


async def test_work_that_fails_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "RESTART_DELAY", 0.0)
    runs: list[int] = []

    async def work() -> None:
        runs.append(1)
        if len(runs) < 3:
            raise RuntimeError("bug")

    await asyncio.wait_for(supervised("work", work), 5)
    assert len(runs) == 3


async def test_work_in_a_task_group_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task group that waits cancels the task that it is in, which must not be taken for the end of everything."""
    monkeypatch.setattr(family, "RESTART_DELAY", 0.0)
    runs: list[int] = []

    async def fails() -> None:
        await asyncio.sleep(0)
        runs.append(1)
        if len(runs) < 3:
            raise RuntimeError("bug")

    async def work() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fails())

    await asyncio.wait_for(supervised("work", work), 5)
    assert len(runs) == 3


async def test_work_that_fails_while_it_is_cancelled_ends_all_the_same() -> None:
    started = asyncio.Event()

    async def work() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("bug in the clean-up")

    task = asyncio.create_task(supervised("work", work))
    await started.wait()
    task.cancel()

    await asyncio.wait_for(asyncio.wait({task}), 5)
    assert task.done()
