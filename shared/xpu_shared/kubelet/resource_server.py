"""One resource at the kubelet, for as long as the plugin runs: serve, register, and again whenever it is needed."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine
from functools import partial

from xpu_shared.acceptance import endpoint_name
from xpu_shared.counters import ResourceCounters
from xpu_shared.kubelet import endpoint as endpoints
from xpu_shared.kubelet.directory import SocketDirectory
from xpu_shared.kubelet.endpoint import Endpoint
from xpu_shared.kubelet.registration import (
    AlreadyConnectedError,
    Backoff,
    Cause,
    RegistrationError,
    Timings,
    cause_to_register,
    register,
)
from xpu_shared.kubelet.servicer import Servicer, options
from xpu_shared.kubelet.streams import Streams
from xpu_shared.plugin import Plugin
from xpu_shared.program.logs import Log
from xpu_shared.sockets import Identity, OtherInstanceError, SocketError, identity
from xpu_wire.deviceplugin_v1beta1_pb2_grpc import add_DevicePluginServicer_to_server

log = Log("kubelet")


class ResourceServer:
    def __init__(
        self,
        plugin: Plugin,
        device_type: str,
        *,
        directory: SocketDirectory,
        servicer: Callable[[Streams], Servicer],
        counters: ResourceCounters,
        timings: Timings,
        instance: str = "",
    ) -> None:
        self.resource = f"{plugin.namespace}/{device_type}"
        self._plugin = plugin
        self._device_type = device_type
        self._directory = directory
        self._servicer = servicer
        self._counters = counters
        self._timings = timings
        self._instance = instance
        self._endpoint: Endpoint | None = None
        self._number = 0  # of the endpoint's file name
        self._trouble = ""  # what was last logged
        self._wake = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Registered, and the kubelet is listening."""
        return self._counters.registered and self._endpoint is not None and self._endpoint.streams.open > 0

    async def run(self) -> None:
        """Serve until cancelled. No failure ends it."""
        cause, kubelet = Cause.START, identity(self._directory.kubelet)
        self._directory.listen(self._wake.set)
        try:
            while True:
                endpoint, kubelet = await self._register(cause, kubelet)
                cause = await self._cause(endpoint, kubelet)
                self._counters.registered = False
                log.info("registers again", resource=self.resource, cause=cause)
                if cause is Cause.KUBELET_RESTART:
                    self._number = 0
                await self._unbind()
        finally:
            self._directory.stop_listening(self._wake.set)
            self._counters.registered = False
            await self._unbind()

    async def _register(self, cause: Cause, known: Identity | None) -> tuple[Endpoint, Identity | None]:
        """Serve and register, as often as it takes; returns with whom.

        Args:
            known: the kubelet that knows of our earlier streams. There may be another one before they have ended.
        """
        backoff = Backoff(self._now())
        earliest = self._now() + (self._timings.settle if cause in (Cause.SOCKET_LOST, Cause.NO_STREAM) else 0)
        while True:
            self._wake.clear()
            kubelet = identity(self._directory.kubelet)
            if kubelet != known:  # another kubelet: it knows nothing of our earlier streams
                known, backoff, earliest = kubelet, Backoff(self._now()), self._now()
                cause = Cause.KUBELET_RESTART if cause is not Cause.START else cause
            try:
                endpoint = await self._bound()
                if endpoint.streams.open and self._now() >= earliest:
                    await self._unbind()
                    earliest = self._now() + self._timings.settle
                    continue
                if identity(self._directory.kubelet) != kubelet:  # it came, or went, while the socket was bound
                    continue
                if self._now() >= earliest:
                    await self._call(endpoint, cause, kubelet)
                    return endpoint, kubelet
                delay = earliest - self._now()
            except AlreadyConnectedError as error:
                self._note(error)
                self._number += 1
                await self._unbind()
                delay = backoff.delay(now=self._now(), jitter=random.random())  # noqa: S311
            except OtherInstanceError as error:
                self._note(error)
                delay = self._timings.other_instance
            except (SocketError, RegistrationError) as error:
                self._note(error)
                delay = backoff.delay(now=self._now(), jitter=random.random())  # noqa: S311
            await self._wait(delay)

    async def _bound(self) -> Endpoint:
        """An endpoint whose socket is in place."""
        if self._endpoint is not None and not self._endpoint.in_place:
            await self._unbind()
        if self._endpoint is None:
            name = endpoint_name(
                self._plugin.namespace, self._device_type, instance=self._instance, number=self._number
            )
            path = self._directory.path / name
            self._directory.look_at(path)
            streams = Streams(self._counters, self._wake.set)
            servicer = self._servicer(streams)
            add = partial(add_DevicePluginServicer_to_server, servicer)
            self._endpoint = await endpoints.bind(path, add, streams)
            self._directory.look_at(path)
            log.verbose(1, "serves", resource=self.resource, socket=path)
        return self._endpoint

    async def _unbind(self) -> None:
        endpoint, self._endpoint = self._endpoint, None
        if endpoint is not None:
            self._directory.overlook(endpoint.path)
            await endpoint.close()

    async def _call(self, endpoint: Endpoint, cause: Cause, kubelet: Identity | None) -> None:
        call = register(
            self._directory.kubelet,
            endpoint=endpoint.path.name,
            resource=self.resource,
            options=options(self._plugin),
            deadline=self._timings.deadline,
        )
        try:
            await self._unless_replaced(kubelet, call)
        except RegistrationError:
            self._counters.registration_failures += 1
            raise
        self._counters.registrations[cause] += 1
        self._counters.registered = True
        self._trouble = ""
        endpoint.streams.quiet_since = self._now()
        log.info("registered with the kubelet", resource=self.resource, cause=cause, socket=endpoint.path)

    async def _unless_replaced(self, kubelet: Identity | None, call: Coroutine[object, object, None]) -> None:
        """Wait for a call to this kubelet, and not much longer once another has taken its place: the first one hangs.

        A moment longer, because a kubelet that changes its socket's mode or label is still the same.
        """

        def look() -> None:
            if limit.when() is None and identity(self._directory.kubelet) not in (None, kubelet):
                limit.reschedule(self._now() + self._timings.settle)

        try:
            async with asyncio.timeout(None) as limit:
                self._directory.listen(look)
                await call
        except TimeoutError:
            raise RegistrationError("another kubelet took the place of the one that was asked") from None
        finally:
            self._directory.stop_listening(look)

    async def _cause(self, endpoint: Endpoint, registered_with: Identity | None) -> Cause:
        """Wait until there is a reason to register again."""
        while True:
            self._wake.clear()
            streams = endpoint.streams
            cause = cause_to_register(
                registered_with=registered_with,
                kubelet=identity(self._directory.kubelet),
                in_place=endpoint.in_place,
                streams=streams.open,
                quiet_since=streams.quiet_since,
                patience=self._timings.patience,
                now=self._now(),
            )
            if cause is not None:
                return cause
            left = streams.quiet_since + self._timings.patience - self._now()
            await self._wait(None if streams.open else max(left, self._timings.settle))

    async def _wait(self, seconds: float | None) -> None:
        """Wait for a change that is worth a look, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def _note(self, error: Exception) -> None:
        """Log trouble once, however often it is met."""
        if str(error) != self._trouble:
            self._trouble = str(error)
            log.warning("cannot register yet, keeps trying", resource=self.resource, reason=error)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
