"""Kubernetes Events on the own node: one for devices that leave service or return. Imported only where it is wanted.

The API server is asked in a thread, never often, and whatever it answers disturbs nobody.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from xpu_shared.allowance import Allowance
from xpu_shared.api_server import MERGE_PATCH, SERVICE_ACCOUNT, ApiError, ApiServer, NoApiServerError, is_node_name
from xpu_shared.program.logs import Log
from xpu_shared.threads import in_daemon_thread
from xpu_shared.turns import Notice, Pending, Turn

NAMESPACE = "default"  # where Events of objects that have no namespace are
LEFT, RETURNED = "DeviceUnhealthy", "DeviceHealthy"
BURST, PAUSE = 20, 15.0  # requests at once, and seconds for each further one
WAITING = 50  # notices kept while the API server does not answer; beyond, the oldest is dropped
REMEMBERED = 50  # Events that are counted up instead of written anew when the same happens again
LONGEST_NODE = 230  # characters of the node's name in the Event's; both have at most 253
REPEATED_WITHIN = 3600.0  # seconds; the API server keeps Events for an hour

log = Log("events")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds."""

    together: float = 1.0  # after the first turn, for others to be told with it
    first_retry: float = 5.0  # after a failure; doubled after each that follows
    longest_retry: float = 300.0


@dataclass(slots=True)
class Written:
    name: str
    count: int
    at: float  # monotonic seconds


class NodeEvents:
    """Made inside a running event loop."""

    def __init__(self, api: ApiServer, node: str, *, program: str, timings: Timings | None = None) -> None:
        self.written = 0
        self.failures = 0
        self.dropped = 0
        self._api = api
        self._node = node
        self._program = program
        self._timings = timings or Timings()
        self._pending = Pending()
        self._waiting: deque[tuple[Notice, datetime]] = deque()
        self._news = asyncio.Event()
        self._allowance = Allowance(burst=BURST, pause=PAUSE)
        self._recent: dict[Notice, Written] = {}
        self._trouble = ""

    @staticmethod
    def of_this_pod(
        program: str, environment: Mapping[str, str] = os.environ, service_account: Path = SERVICE_ACCOUNT
    ) -> "NodeEvents":
        """Events on the node in `NODE_NAME`, through the pod's service account; NoApiServerError."""
        node = environment.get("NODE_NAME", "")
        if not is_node_name(node):
            raise NoApiServerError(f"NODE_NAME={node[:64]!a}: expected the name of this node")
        return NodeEvents(ApiServer.of_this_pod(environment, service_account), node, program=program)

    def tell(self, turns: Sequence[Turn]) -> None:
        """Devices have turned. Returns at once."""
        if turns:
            self._pending.add(turns)
            self._news.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._news.wait()
            await asyncio.sleep(self._timings.together)
            self._news.clear()
            await asyncio.sleep(self._allowance.wait(time.monotonic()))  # what turns meanwhile is told with it
            now = datetime.now(UTC)
            self._waiting.extend((notice, now) for notice in self._pending.take())
            while len(self._waiting) > WAITING:
                self._waiting.popleft()
                self.dropped += 1
            await self._write_all()

    async def _write_all(self) -> None:
        """Write what waits, as far as it may be written now."""
        retry = self._timings.first_retry
        while self._waiting:
            await asyncio.sleep(self._allowance.wait(time.monotonic()))
            self._allowance.take(time.monotonic())
            notice, when = self._waiting[0]
            try:
                await in_daemon_thread(partial(self._write, notice, when), name="event")
            except ApiError as error:
                self.failures += 1
                self._note(str(error))
                if not error.worth_repeating:
                    self._waiting.popleft()
                    self.dropped += 1
                    continue
                await asyncio.sleep(retry)
                retry = min(2 * retry, self._timings.longest_retry)
            else:
                self._waiting.popleft()
                self.written += 1
                self._note("")
                retry = self._timings.first_retry

    def _write(self, notice: Notice, when: datetime) -> None:
        """One request, in a thread; ApiError. What happened before within the hour is counted up."""
        path = f"/api/v1/namespaces/{NAMESPACE}/events"
        known = self._recent.get(notice)
        if known is not None and time.monotonic() - known.at < REPEATED_WITHIN:
            body = {"count": known.count + 1, "lastTimestamp": _timestamp(when)}
            with suppress(_ExpiredError):
                self._patch(f"{path}/{known.name}", body)
                known.count, known.at = known.count + 1, time.monotonic()
                return
        name = f"{self._node[:LONGEST_NODE].rstrip('.-')}.{time.time_ns():x}"
        self._api.request("POST", path, self._event(name, notice, when))
        self._recent.pop(notice, None)
        self._recent[notice] = Written(name, 1, time.monotonic())
        while len(self._recent) > REMEMBERED:
            self._recent.pop(next(iter(self._recent)))

    def _patch(self, path: str, body: Mapping[str, object]) -> None:
        try:
            self._api.request("PATCH", path, body, content_type=MERGE_PATCH)
        except ApiError as error:
            if error.status == 404:
                raise _ExpiredError from error
            raise

    def _event(self, name: str, notice: Notice, when: datetime) -> dict[str, Any]:
        """A core/v1 Event, as kubelets write them on their node."""
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "involvedObject": {"apiVersion": "v1", "kind": "Node", "name": self._node, "uid": self._node},
            "reason": RETURNED if notice.healthy else LEFT,
            "message": notice.text,
            "type": "Normal" if notice.healthy else "Warning",
            "source": {"component": self._program, "host": self._node},
            "reportingComponent": self._program,
            "reportingInstance": self._node,
            "firstTimestamp": _timestamp(when),
            "lastTimestamp": _timestamp(when),
            "count": 1,
        }

    def _note(self, trouble: str) -> None:
        """One line when the API server stops taking Events or takes them again."""
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble:
            log.warning("cannot write an Event", reason=trouble)
        else:
            log.info("writes Events again")


class _ExpiredError(Exception):
    """The Event to be counted up has expired."""


def _timestamp(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"
