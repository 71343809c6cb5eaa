"""The sidecar at work until SIGTERM: a source's looks in; snapshots, labels and metrics out."""

import asyncio
import os
import socket
import sys
import time
from contextlib import suppress

from xpu_shared.labels.labeller import Labeller
from xpu_shared.labels.settings import NFD
from xpu_shared.labels.sinks import NoSinkError, Sink, open_sinks
from xpu_shared.labels.values import UnsplittableError
from xpu_shared.program import logs
from xpu_shared.program.logs import Changes, Log
from xpu_shared.program.working import until_signalled
from xpu_shared.sockets import SocketError
from xpu_shared.telemetry.curve import KeyFileError, ServerKeys, server_keys
from xpu_shared.telemetry.publisher import Publisher
from xpu_sidecars.xelink.keeping import Keeper, snapshot
from xpu_sidecars.xelink.labelling import labels, own
from xpu_sidecars.xelink.leftovers import remove_leftovers
from xpu_sidecars.xelink.reading import Look, Reading, Source
from xpu_sidecars.xelink.settings import XelinkSettings
from xpu_sidecars.xelink.sources import source
from xpu_sidecars.xelink.state import State

SHUTDOWN = 3.0  # seconds for everything to end; labels are taken away before
VALIDITY = 3.0  # intervals without a message after which the last one is stale
WRITE_PAUSE = 1.0  # seconds: a look may change the labels, there is at most one a second, and no change may wait
NAME = "xelink"
MARGIN = 0.01  # seconds after which what runs out has surely run out

log = Log("xelink")


def run(settings: XelinkSettings, *, program: str) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    logs.configure(settings.log_format, settings.v)
    try:
        keys = server_keys(settings.publish_secret_key, settings.publish_allowed_keys)
        if NFD in settings.label_sinks:
            remove_leftovers(settings.tmp_dir_prefix)
        is_own = own(settings.label_namespace)
        sinks = open_sinks(settings, file=settings.label_file, is_own=is_own, pause=WRITE_PAUSE)
    except (KeyFileError, NoSinkError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    asyncio.run(Sidecar(settings, source(settings), sinks, keys, program=program).run())
    return 0


class Sidecar:
    def __init__(
        self,
        settings: XelinkSettings,
        source: Source,
        sinks: list[Sink],
        keys: ServerKeys | None,
        *,
        program: str,
    ) -> None:
        self._settings = settings
        self._source = source
        self._sinks = sinks
        self._program = program
        self._publisher = Publisher(
            settings.endpoints,
            source=NAME,
            node=os.environ.get("NODE_NAME") or socket.gethostname(),
            validity=VALIDITY * settings.interval,
            keys=keys,
        )
        self._keeper = Keeper(settings.keep_last, time.monotonic())
        self._state = State()
        self._labels: dict[str, str] = {}  # as last decided
        self._labels_trouble = ""
        self._troubles = Changes()
        self._reason: str | None = None  # as last said
        self._published_at: float | None = None  # monotonic seconds

    async def run(self) -> None:
        """Run until a signal comes or the task is cancelled."""
        await until_signalled(
            self._work(), shutdown=SHUTDOWN, stopping=lambda: log.info("stops", program=self._program)
        )

    async def _work(self) -> None:
        settings = self._settings
        log.info("starts", program=self._program, source=settings.source, publish=" ".join(settings.endpoints))
        self._labeller = Labeller(self._sinks)
        page = None
        try:
            with suppress(SocketError):  # it has said so, and tries again with each message
                self._publisher.open()
            if settings.metrics_address is not None:
                from xpu_sidecars.xelink.observation import serve  # noqa: PLC0415 - memory that only metrics need

                page = serve(
                    settings.metrics_address, self._state, self._publisher, self._labeller, program=self._program
                )
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._labeller.run())
                tasks.create_task(self._repeat_for_ever())
                tasks.create_task(self._look_for_ever())
        finally:
            self._publisher.close()
            if settings.remove_labels_on_exit:
                await self._labeller.remove()
            if page is not None:
                page()

    async def _look_for_ever(self) -> None:
        await asyncio.sleep(self._settings.startup_delay)
        await self._source.run(self._take)

    async def _repeat_for_ever(self) -> None:
        """Publish at each interval, also while a look takes its time, and notice that it takes too much of it."""
        interval = self._settings.interval
        while True:
            now = time.monotonic()
            left = self._keeper.expires_at - now
            await asyncio.sleep(min(interval, left + MARGIN) if left > 0 else interval)
            now = time.monotonic()
            expired = self._keeper.look(now)
            if expired or (self._published_at is not None and now - self._published_at >= interval):
                self._show()

    def _take(self, look: Look) -> None:
        now = time.monotonic()
        if isinstance(look, Reading):
            self._keeper.good(look, now)
            self._state.good(look)
        else:
            self._keeper.failed(look, now)
            self._state.failed(look)
        self._show()

    def _show(self) -> None:
        shown = self._keeper.shown
        if shown.decided:
            self._decide_labels(shown.value)
        lines = tuple(f"{name}={value}" for name, value in self._labels.items())
        published = snapshot(shown, lines)
        self._state.shown = published
        self._published_at = time.monotonic()
        self._publisher.publish(published)
        self._say(shown.reason, [f"{problem.subject}: {problem.text}" for problem in published.problems])

    def _decide_labels(self, value: str) -> None:
        try:
            self._labels = labels(self._settings.label_namespace, value)
        except UnsplittableError as error:  # those that are there stay
            if str(error) != self._labels_trouble:
                log.error("the labels stay as they are", reason=error)
            self._labels_trouble = str(error)
            self._state.errors["too many labels"] += 1
            return
        self._labels_trouble = ""
        self._labeller.want(self._labels)

    def _say(self, reason: str, problems: list[str]) -> None:
        """One line for each change."""
        if reason != self._reason:
            self._reason = reason
            if reason:
                log.warning("links are not learnt now", reason=reason)
            else:
                log.info("links are learnt", source=self._state.shown.source, links=len(self._state.shown.links))
        change = self._troubles.report(problems)
        for text in change.new:
            log.warning(text)
        for text in change.gone:
            log.info("no longer", text=text)
        if change.more:
            log.warning("more changes than are shown", count=change.more)
