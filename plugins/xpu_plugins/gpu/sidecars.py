"""Listens to the sidecars that publish telemetry. Imports ZeroMQ, so it is imported only where telemetry is on."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import zmq

from xpu_plugins.gpu.settings import GpuSettings
from xpu_shared.program.logs import Log
from xpu_shared.telemetry.curve import ClientKeys, KeyFileError, client_keys
from xpu_shared.telemetry.decoding import SnapshotReader
from xpu_shared.telemetry.freshness import News, Received
from xpu_shared.telemetry.kinds import Group
from xpu_shared.telemetry.readings import DeviceSnapshot
from xpu_shared.telemetry.subscriber import Subscriber
from xpu_shared.telemetry.topology import TopologySnapshot
from xpu_shared.telemetry.topology_messages import TopologyReader

if TYPE_CHECKING:
    from prometheus_client import Metric

GROUPS = frozenset({Group.IDENTITY, Group.STATE, Group.PCI, Group.MEMORY, Group.TEMPERATURE, Group.RAS})
KEYS_RETRY = 10.0  # seconds between looks at key files that cannot be used

P = TypeVar("P")

log = Log("gpu telemetry")

Take = Callable[[str, Received], None]
TakeTopology = Callable[[News[TopologySnapshot]], None]


class Sidecars:
    """A subscriber for each endpoint and topic, as long as `run` runs."""

    def __init__(self, settings: GpuSettings) -> None:
        self.subscribers: tuple[Subscriber[Any], ...] = ()
        self._settings = settings

    async def run(self, take: Take, take_topology: TakeTopology | None = None) -> None:
        """Listen until cancelled; `take` gets each new message with the endpoint it came from."""
        settings = self._settings
        keys = await _keys(settings.telemetry_secret_key, settings.telemetry_server_key)
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        devices = [self._devices(endpoint, context, keys, take) for endpoint in settings.endpoints]
        endpoints = settings.fabric_endpoints if take_topology else ()
        topologies = [self._topology(endpoint, context, keys, take_topology) for endpoint in endpoints]
        self.subscribers = (*devices, *topologies)
        try:
            async with asyncio.TaskGroup() as tasks:
                for subscriber in self.subscribers:
                    tasks.create_task(subscriber.run())
        finally:
            context.destroy(linger=0)

    def metrics(self) -> "Iterator[Metric]":
        """What was received; called in the metrics page's thread."""
        from xpu_shared.telemetry.metrics import subscriber_metrics  # noqa: PLC0415 - only a page needs it

        return subscriber_metrics(
            {(subscriber.endpoint, subscriber.topic.decode()): subscriber.counters for subscriber in self.subscribers}
        )

    def _devices(
        self, endpoint: str, context: "zmq.Context[zmq.Socket[bytes]]", keys: ClientKeys | None, take: Take
    ) -> Subscriber[DeviceSnapshot]:
        subscriber = Subscriber(
            endpoint,
            reader=SnapshotReader(groups=GROUPS),
            context=context,
            keys=keys,
            limits=self._settings.telemetry_limits,
            node=_node(endpoint),
        )
        _tell_once(subscriber, lambda news: take(endpoint, news))
        return subscriber

    def _topology(
        self,
        endpoint: str,
        context: "zmq.Context[zmq.Socket[bytes]]",
        keys: ClientKeys | None,
        take: TakeTopology | None,
    ) -> Subscriber[TopologySnapshot]:
        subscriber = Subscriber(
            endpoint,
            reader=TopologyReader(),
            context=context,
            keys=keys,
            limits=self._settings.telemetry_limits,
            node=_node(endpoint),
        )
        if take is not None:
            _tell_once(subscriber, take)
        return subscriber


def _node(endpoint: str) -> str:
    """A unix socket is this node's own; who publishes there need not know the node's name."""
    return "" if endpoint.startswith("ipc://") else os.environ.get("NODE_NAME", "")


def _tell_once(subscriber: Subscriber[P], take: Callable[[News[P]], None]) -> None:
    """Have each message taken once. Listeners are also told when the newest becomes stale, which others find out."""
    seen: list[News[P] | None] = [None]

    def listener() -> None:
        if subscriber.newest is not None and subscriber.newest is not seen[0]:
            seen[0] = subscriber.newest
            take(subscriber.newest)

    subscriber.listen(listener)


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
