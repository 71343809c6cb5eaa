import asyncio
import threading

import pytest

from xpu_shared.threads import in_daemon_thread


async def test_a_result_and_an_error_come_back() -> None:
    assert await in_daemon_thread(lambda: threading.current_thread().daemon, name="t") is True

    def fail() -> None:
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        await in_daemon_thread(fail, name="t")


async def test_a_cancelled_wait_leaves_the_thread_to_itself() -> None:
    started, release = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        release.wait(30)

    task = asyncio.create_task(in_daemon_thread(work, name="t"))
    await asyncio.to_thread(started.wait, 5)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()


def test_a_loop_that_has_ended_is_no_concern_of_the_thread() -> None:
    release, ended = threading.Event(), threading.Event()

    def work() -> None:
        release.wait(30)
        ended.set()

    async def start() -> None:
        asyncio.get_running_loop().call_soon(asyncio.current_task().cancel)  # type: ignore[union-attr]
        await in_daemon_thread(work, name="t")

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(start())
    release.set()
    assert ended.wait(5)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), StopIteration()])
async def test_what_would_end_the_process_or_cannot_be_told_becomes_an_error_of_the_work(error: BaseException) -> None:
    def work() -> None:
        raise error

    with pytest.raises(RuntimeError, match=type(error).__name__):
        await in_daemon_thread(work, name="t")
