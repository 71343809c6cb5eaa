"""Keeps a node's labels as its program wants them, through any number of sinks; a sink that hangs costs only itself."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

from xpu_shared.labels.sinks import Sink, SinkError
from xpu_shared.program.logs import Log
from xpu_shared.threads import in_daemon_thread

LOOK = 5.0  # seconds between looks at a sink while nothing changes: for retries, and for what others have done to it
GOODBYE = 1.0  # seconds for labels to be removed at the end

log = Log("labels")


class Labeller:
    """Made inside a running event loop. Until `want` is called nothing is written: what is there stays."""

    def __init__(self, sinks: Sequence[Sink], *, look: float = LOOK) -> None:
        self.writes: Counter[str] = Counter()  # by sink
        self.failures: Counter[str] = Counter()
        self._sinks = sinks
        self._look = look
        self._wanted: Mapping[str, str] | None = None
        self._changed = [asyncio.Event() for _ in sinks]
        self._troubles = dict.fromkeys((sink.name for sink in sinks), "")

    @property
    def sinks(self) -> list[str]:
        """Their names."""
        return [sink.name for sink in self._sinks]

    @property
    def wanted(self) -> Mapping[str, str] | None:
        """None: not known yet."""
        return self._wanted

    def want(self, labels: Mapping[str, str]) -> None:
        """From now on the labels shall be these, in their order."""
        if self._wanted is None or list(labels.items()) != list(self._wanted.items()):
            self._wanted = dict(labels)
            for changed in self._changed:
                changed.set()

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for sink, changed in zip(self._sinks, self._changed, strict=True):
                tasks.create_task(self._keep(sink, changed))

    async def remove(self) -> None:
        """Take the labels away at the end, as far as that is possible in a second."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE), asyncio.TaskGroup() as tasks:
                for sink in self._sinks:
                    tasks.create_task(self._remove(sink))

    async def _keep(self, sink: Sink, changed: asyncio.Event) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look):
                    await changed.wait()
            changed.clear()
            if self._wanted is not None:
                await self._update(sink, self._wanted)

    async def _update(self, sink: Sink, labels: Mapping[str, str]) -> None:
        try:
            written = await in_daemon_thread(partial(sink.update, labels), name=f"labels to {sink.name}")
        except SinkError as error:
            self.failures[sink.name] += 1
            self._note(sink, str(error))
        except Exception as error:  # noqa: BLE001 - the top of a loop: log and go on
            self.failures[sink.name] += 1
            self._note(sink, repr(error))
        else:
            self.writes[sink.name] += written
            log.verbose(2, "labels are written" if written else "labels have not changed", sink=sink.name)
            self._note(sink, "")

    async def _remove(self, sink: Sink) -> None:
        try:
            await in_daemon_thread(sink.remove, name=f"labels from {sink.name}")
        except SinkError as error:
            log.warning("cannot remove labels", sink=sink.name, reason=error)

    def _note(self, sink: Sink, trouble: str) -> None:
        """One line when a sink stops working or works again."""
        if trouble == self._troubles[sink.name]:
            return
        self._troubles[sink.name] = trouble
        if trouble:
            log.warning("cannot write labels, keeps trying", sink=sink.name, reason=trouble)
        else:
            log.info("writes labels again", sink=sink.name)
