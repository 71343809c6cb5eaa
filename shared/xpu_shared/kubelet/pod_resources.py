"""Who holds which device, as the kubelet's pod-resources API tells: refreshed in the background, never waited for.

Without the kubelet's socket (it needs a mount of its own) everything else works as well, and nothing is known here.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from xpu_shared.kubelet.registration import CHANNEL
from xpu_shared.kubelet.sockets import target
from xpu_shared.program.logs import Log

if TYPE_CHECKING:
    from xpu_wire.podresources_v1_pb2 import ListPodResourcesResponse

DEADLINE = 5.0  # seconds for an answer
LARGEST_ANSWER = 16 * 1024 * 1024  # bytes; a node with many pods exceeds gRPC's 4 MiB

log = Log("pod resources")


@dataclass(frozen=True, slots=True, order=True)
class Holder:
    """A container that was given a device."""

    namespace: str
    pod: str
    container: str


# Holders of a device by its resource and id. Several: a device of an init container is used again in its pod.
Holders = Mapping[tuple[str, str], frozenset[Holder]]


class PodResources:
    """The newest answer of the kubelet. An old one stays while the kubelet is down: its pods go on running."""

    def __init__(self, socket: Path, *, period: float = 10.0) -> None:
        """`period` is the time between refreshes in seconds."""
        self.holders: Holders = {}
        self.last_success = 0.0  # monotonic seconds; 0: never
        self._socket = socket
        self._period = period
        self._listeners: list[Callable[[], None]] = []
        self._trouble: str | None = None
        self._connection: _Connection | None = None

    def listen(self, listener: Callable[[], None]) -> None:
        """Have `listener` called after each change of `holders`."""
        self._listeners.append(listener)

    def held(self, resource: str) -> frozenset[str]:
        """The ids of a resource that some container holds."""
        return frozenset(id_ for name, id_ in self.holders if name == resource)

    async def run(self) -> None:
        """Refresh until cancelled."""
        try:
            while True:
                await self.refresh()
                await asyncio.sleep(self._period)
        finally:
            await self.close()

    async def refresh(self) -> bool:
        """Ask the kubelet once; False when it does not answer, and what was known stays."""
        try:
            self._socket.lstat()
        except OSError as error:
            self._note(str(error.strerror))
            return False
        try:
            holders = await self._ask()
        except grpc.aio.AioRpcError as error:
            self._note(f"{error.code().name}: {error.details()}"[:300])
            await self.close()
            return False
        except MalformedAnswerError:
            self._note("it sends what is no answer")
            return False
        self._note("")
        self.last_success = asyncio.get_running_loop().time()
        if holders != self.holders:
            self.holders = holders
            for listener in tuple(self._listeners):
                listener()
        return True

    async def _ask(self) -> Holders:
        if self._connection is None:
            self._connection = _Connection(self._socket)
        return await self._connection.holders()

    async def close(self) -> None:
        """Close the connection; the next refresh opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _note(self, trouble: str) -> None:
        """One line when it stops working or works again, none for each refresh."""
        if trouble == self._trouble:
            return
        first, self._trouble = self._trouble is None, trouble
        if trouble:
            log.info("does not know who holds devices", socket=self._socket, reason=trouble)
        elif not first:
            log.info("knows again who holds devices", socket=self._socket)


class MalformedAnswerError(Exception):
    """Bytes that are no list of pods."""


class _Connection:
    """A channel to the kubelet; the messages' code is imported with the first one."""

    def __init__(self, socket: Path) -> None:
        from xpu_wire.podresources_v1_pb2_grpc import PodResourcesListerStub  # noqa: PLC0415 - 1 MiB, for this alone

        options = (*CHANNEL, ("grpc.max_receive_message_length", LARGEST_ANSWER))
        self._channel = grpc.aio.insecure_channel(target(socket), options=options)
        self._stub = PodResourcesListerStub(self._channel)

    async def holders(self) -> Holders:
        from xpu_wire.podresources_v1_pb2 import ListPodResourcesRequest  # noqa: PLC0415 - as above

        answer: ListPodResourcesResponse | None = await self._stub.List(ListPodResourcesRequest(), timeout=DEADLINE)
        if answer is None:  # gRPC's own answer to bytes that are no message
            raise MalformedAnswerError
        holders: dict[tuple[str, str], set[Holder]] = {}
        for pod in answer.pod_resources:
            for container in pod.containers:
                holder = Holder(namespace=pod.namespace, pod=pod.name, container=container.name)
                for devices in container.devices:  # a device on two NUMA nodes is there twice
                    for id_ in devices.device_ids:
                        holders.setdefault((devices.resource_name, id_), set()).add(holder)
        return {key: frozenset(value) for key, value in holders.items()}

    async def close(self) -> None:
        await self._channel.close()
