"""Listens to the sidecars that publish telemetry. Imports ZeroMQ, so it is imported only where telemetry is on."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import zmq

from xpu_plugins.gpu.settings import GpuSettings
from xpu_shared.program.logs import Log
from xpu_shared.telemetry.curve import ClientKeys, KeyFileError, client_keys
from xpu_shared.telemetry.freshness import Received
from xpu_shared.telemetry.kinds import Group
from xpu_shared.telemetry.subscriber import Subscriber

if TYPE_CHECKING:
    from prometheus_client import Metric

GROUPS = frozenset({Group.IDENTITY, Group.STATE, Group.PCI, Group.MEMORY, Group.TEMPERATURE, Group.RAS})
KEYS_RETRY = 10.0  # seconds between looks at key files that cannot be used

log = Log("gpu telemetry")

Take = Callable[[str, Received], None]


class Sidecars:
    """One subscriber for each endpoint, as long as `run` runs."""

    def __init__(self, settings: GpuSettings) -> None:
        self.subscribers: tuple[Subscriber, ...] = ()
        self._settings = settings

    async def run(self, take: Take) -> None:
        """Listen until cancelled; `take` gets each new message with the endpoint it came from."""
        settings = self._settings
        keys = await _keys(settings.telemetry_secret_key, settings.telemetry_server_key)
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.subscribers = tuple(self._subscriber(endpoint, context, keys, take) for endpoint in settings.endpoints)
        try:
            async with asyncio.TaskGroup() as tasks:
                for subscriber in self.subscribers:
                    tasks.create_task(subscriber.run())
        finally:
            context.destroy(linger=0)

    def metrics(self) -> "Iterator[Metric]":
        """What was received; called in the metrics page's thread."""
        from xpu_shared.telemetry.metrics import subscriber_metrics  # noqa: PLC0415 - only a page needs it

        return subscriber_metrics({subscriber.endpoint: subscriber.counters for subscriber in self.subscribers})

    def _subscriber(
        self, endpoint: str, context: "zmq.Context[zmq.Socket[bytes]]", keys: ClientKeys | None, take: Take
    ) -> Subscriber:
        # A unix socket is this node's own; who publishes there need not know the node's name.
        node = "" if endpoint.startswith("ipc://") else os.environ.get("NODE_NAME", "")
        subscriber = Subscriber(
            endpoint, context=context, groups=GROUPS, keys=keys, limits=self._settings.telemetry_limits, node=node
        )
        seen: list[Received | None] = [None]

        def listener() -> None:
            """It is also told when the newest message becomes stale, which judges find out by themselves."""
            if subscriber.newest is not None and subscriber.newest is not seen[0]:
                seen[0] = subscriber.newest
                take(endpoint, subscriber.newest)

        subscriber.listen(listener)
        return subscriber


async def _keys(secret: Path | None, server: Path | None) -> ClientKeys | None:
    """The keys in the files, as soon as they are good; a Secret may be mounted late."""
    if secret is None or server is None:
        return None
    trouble = ""
    while True:
        try:
            return client_keys(secret, server)
        except KeyFileError as error:
            if str(error) != trouble:
                log.error("no telemetry without good keys, keeps trying", reason=error)
            trouble = str(error)
        await asyncio.sleep(KEYS_RETRY)
