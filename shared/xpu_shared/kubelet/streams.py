"""The ListAndWatch streams of one server: how many are open, since when none is, and how they are asked to end."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from xpu_shared.counters import ResourceCounters


class Streams:
    def __init__(self, counters: ResourceCounters, on_change: Callable[[], None]) -> None:
        """`on_change` is called after each opening and each end."""
        self.closing = False
        self.quiet_since = asyncio.get_running_loop().time()  # meaningful while none is open
        self._counters = counters
        self._on_change = on_change
        self._wake: list[Callable[[], None]] = []

    @property
    def open(self) -> int:
        return len(self._wake)

    @contextmanager
    def opened(self, wake: Callable[[], None]) -> Iterator[None]:
        """Count a stream while inside; `wake` is called when it is to look whether `closing` is set."""
        self._wake.append(wake)
        self._counters.streams_open += 1
        self._on_change()
        try:
            yield
        finally:
            self._wake.remove(wake)
            self._counters.streams_open -= 1
            self.quiet_since = asyncio.get_running_loop().time()
            self._on_change()

    def close(self) -> None:
        """Ask all streams to end; ones that open later end at once."""
        self.closing = True
        for wake in tuple(self._wake):
            wake()
