"""Blocking work off the event loop, in daemon threads: a read that hangs must not stop the process from ending.

A pool's threads are joined at exit, so none is used.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_daemon_thread(function: Callable[[], T], *, name: str) -> T:
    """Run `function` in a thread of its own and wait for its result. Cancelling leaves the thread to itself."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # a result of None is a T then

    def work() -> None:
        result, error = None, None
        try:
            result = function()
        except BaseException as raised:  # noqa: BLE001 - whatever it is, the waiting task gets it
            # An exit of the thread is none of the process, and a future takes no StopIteration.
            plain = isinstance(raised, Exception) and not isinstance(raised, StopIteration)
            error = raised if plain else RuntimeError(repr(raised))
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            return  # the loop has ended, nobody waits any more

    threading.Thread(target=work, name=name, daemon=True).start()
    return await future
