"""A program at work on an event loop until SIGTERM or SIGINT."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from xpu_shared.program.signals import ENDING, end_at_last, ignore_signals


async def until_signalled(
    work: Coroutine[Any, Any, None], *, shutdown: float, stopping: Callable[[], None] = lambda: None
) -> None:
    """Do the work until a signal comes, which cancels it; an error of the work is raised.

    Args:
        shutdown: seconds after the signal at which the process ends in any case.
        stopping: called when the work is about to be cancelled.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def on_signal(*_: object) -> None:
        ignore_signals()
        # Not the loop's own way: a loop that is stuck in a call would not hear of it.
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(stop.set)
        with contextlib.suppress(RuntimeError):  # no thread can be had, so nothing that hangs is ended by one
            end_at_last(shutdown)

    for number in ENDING:
        signal.signal(number, on_signal)
    working = asyncio.ensure_future(work)
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():  # it never ends by itself; what nobody foresaw is told by the exit code too
            working.result()
        stopping()
    finally:
        stopped.cancel()
        working.cancel()
        await asyncio.wait({working})
