"""Who holds which device, as the kubelet's pod-resources API tells: refreshed in the background, never waited for.

Without the kubelet's socket (it needs a mount of its own) everything else works as well, and nothing is known here.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import grpc

from xpu_shared.kubelet.holders import Claim, Claims, Holder, Holders
from xpu_shared.kubelet.sockets import CHANNEL, target
from xpu_shared.program.logs import Log

if TYPE_CHECKING:
    from xpu_wire.podresources_v1_pb2 import ListPodResourcesResponse

DEADLINE = 5.0  # seconds for an answer
LARGEST_ANSWER = 16 * 1024 * 1024  # bytes; a node with many pods exceeds gRPC's 4 MiB

K = TypeVar("K")

log = Log("pod resources")


class PodResources:
    """The newest answer of the kubelet. An old one stays while the kubelet is down: its pods go on running."""

    def __init__(self, socket: Path, *, period: float = 10.0, quiet_period: float | None = None) -> None:
        """Make it ready to run.

        Args:
            period: seconds between refreshes.
            quiet_period: seconds between refreshes as long as the kubelet answers, nobody expects news and no listener
                is in doubt; `period` by default. Each question has gRPC's threads look for more work for seconds.
        """
        self.holders: Holders = {}
        self.claims: Claims = {}
        self.last_success = 0.0  # monotonic seconds; 0: never
        self._socket = socket
        self._period = period
        self._quiet_period = period if quiet_period is None else quiet_period
        self._news_expected = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self._doubts: list[Callable[[], bool]] = []
        self._trouble: str | None = None
        self._connection: _Connection | None = None

    def listen(self, listener: Callable[[], None], *, in_doubt: Callable[[], bool] = lambda: False) -> None:
        """Have `listener` called after each change of `holders` or `claims`.

        Args:
            in_doubt: tells whether something depends now on who holds a device.
        """
        self._listeners.append(listener)
        self._doubts.append(in_doubt)

    def expect_news(self) -> None:
        """Have the kubelet asked within a period: something happened after which other containers may hold devices."""
        self._news_expected.set()

    def held(self, resource: str) -> frozenset[str]:
        """The ids of a resource that some container holds."""
        return frozenset(id_ for name, id_ in self.holders if name == resource)

    async def run(self) -> None:
        """Refresh until cancelled."""
        try:
            while True:
                quiet = await self.refresh() and not any(in_doubt() for in_doubt in self._doubts)
                if not quiet or await self._news_within(self._quiet_period):
                    self._news_expected.clear()
                    await asyncio.sleep(self._period)
        finally:
            await self.close()

    async def _news_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._news_expected.wait()
        return False

    async def refresh(self) -> bool:
        """Ask the kubelet once; False when it does not answer, and what was known stays."""
        try:
            self._socket.lstat()
        except OSError as error:
            self._note(str(error.strerror))
            return False
        try:
            holders, claims = await self._ask()
        except grpc.aio.AioRpcError as error:
            self._note(f"{error.code().name}: {error.details()}"[:300])
            await self.close()
            return False
        except MalformedAnswerError:
            self._note("it sends what is no answer")
            return False
        self._note("")
        self.last_success = asyncio.get_running_loop().time()
        if (holders, claims) != (self.holders, self.claims):
            self.holders, self.claims = holders, claims
            for listener in tuple(self._listeners):
                listener()
        return True

    async def _ask(self) -> tuple[Holders, Claims]:
        if self._connection is None:
            self._connection = _Connection(self._socket)
        return await self._connection.held()

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

    async def held(self) -> tuple[Holders, Claims]:
        from xpu_wire.podresources_v1_pb2 import ListPodResourcesRequest  # noqa: PLC0415 - as above

        answer: ListPodResourcesResponse | None = await self._stub.List(ListPodResourcesRequest(), timeout=DEADLINE)
        if answer is None:  # gRPC's own answer to bytes that are no message
            raise MalformedAnswerError
        return holders_in(answer)

    async def close(self) -> None:
        await self._channel.close()


def holders_in(answer: "ListPodResourcesResponse") -> tuple[Holders, Claims]:
    """Who holds which devices and claims, by the kubelet's answer."""
    holders: dict[tuple[str, str], set[Holder]] = {}
    claims: dict[Claim, set[Holder]] = {}
    for pod in answer.pod_resources:
        for container in pod.containers:
            holder = Holder(namespace=pod.namespace, pod=pod.name, container=container.name)
            for devices in container.devices:  # a device on two NUMA nodes is there twice
                for id_ in devices.device_ids:
                    holders.setdefault((devices.resource_name, id_), set()).add(holder)
            for resource in container.dynamic_resources:
                for claimed in resource.claim_resources:
                    names = tuple(device.name for device in claimed.cdi_devices)
                    claim = Claim(driver=claimed.driver_name, device=claimed.device_name, cdi_names=names)
                    claims.setdefault(claim, set()).add(holder)
    return _frozen(holders), _frozen(claims)


def _frozen(sets: Mapping[K, set[Holder]]) -> dict[K, frozenset[Holder]]:
    return {key: frozenset(value) for key, value in sets.items()}
