"""One resource in the kubelet's plugins_registry: a socket that says what it is, and the kubelet comes by itself.

A kubelet does not wipe this directory and walks it when it starts, so its restart needs nothing from us. It also takes
a plugin whose stream has ended for registered, until the socket is made anew.
"""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from xpu_shared.acceptance import endpoint_name
from xpu_shared.counters import ResourceCounters
from xpu_shared.kubelet import endpoint as endpoints
from xpu_shared.kubelet.directory import SocketDirectory
from xpu_shared.kubelet.endpoint import Endpoint
from xpu_shared.kubelet.registration import VERSION, Backoff, Timings
from xpu_shared.kubelet.servicer import Servicer
from xpu_shared.kubelet.streams import Streams
from xpu_shared.plugin import Plugin
from xpu_shared.program.logs import Log
from xpu_shared.sockets import SocketError
from xpu_wire import pluginregistration_v1_pb2 as pb
from xpu_wire.deviceplugin_v1beta1_pb2_grpc import add_DevicePluginServicer_to_server
from xpu_wire.pluginregistration_v1_pb2_grpc import RegistrationServicer, add_RegistrationServicer_to_server

if TYPE_CHECKING:
    from grpc.aio import Server, ServicerContext

LONGEST_PATIENCE = 300.0  # seconds without a stream before the socket is made anew, when that has not helped before
CAUSE = "registry"

log = Log("kubelet")


class RegistryServer:
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
        self._path = directory.path / endpoint_name(plugin.namespace, device_type, instance=instance)
        self._directory = directory
        self._servicer = servicer
        self._counters = counters
        self._timings = timings
        self._endpoint: Endpoint | None = None
        self._trouble = ""  # what was last logged
        self._wake = asyncio.Event()

    @property
    def ready(self) -> bool:
        """The kubelet has come and is listening."""
        return self._counters.registered and self._endpoint is not None and self._endpoint.streams.open > 0

    async def run(self) -> None:
        """Serve until cancelled. No failure ends it."""
        patience = self._timings.patience
        self._directory.listen(self._wake.set)
        try:
            while True:
                endpoint = await self._bind()
                lost, listened = await self._until_lost_or_quiet(endpoint, patience)
                patience = self._timings.patience if lost or listened else min(LONGEST_PATIENCE, 2 * patience)
                await self._unbind()
                if not lost:  # the kubelet forgets a plugin some time after its socket has gone
                    await asyncio.sleep(self._timings.settle)
        finally:
            self._directory.stop_listening(self._wake.set)
            await self._unbind()

    async def _bind(self) -> Endpoint:
        """Put the socket in place, as often as it takes."""
        backoff = Backoff(self._now())
        self._directory.look_at(self._path)
        while True:
            streams = Streams(self._counters, self._wake.set)
            try:
                self._endpoint = await endpoints.bind(self._path, partial(self._add, streams), streams)
            except SocketError as error:
                self.note(f"cannot serve yet, keeps trying: {error}")
                await asyncio.sleep(backoff.delay(now=self._now(), jitter=0.5))
            else:
                self._directory.look_at(self._path)
                log.info("waits for the kubelet", resource=self.resource, socket=self._path)
                return self._endpoint

    def _add(self, streams: Streams, server: "Server") -> None:
        add_DevicePluginServicer_to_server(self._servicer(streams), server)
        add_RegistrationServicer_to_server(Registrar(self), server)

    async def _until_lost_or_quiet(self, endpoint: Endpoint, patience: float) -> tuple[bool, bool]:
        """Wait until the socket is no longer ours, or nobody has listened for `patience` seconds.

        Returns whether it was lost, and whether the kubelet had been listening at all.
        """
        listened = False
        while endpoint.in_place:
            self._wake.clear()
            streams = endpoint.streams
            listened = listened or streams.open > 0
            left = None if streams.open else streams.quiet_since + patience - self._now()
            if left is not None and left <= 0:
                return False, listened
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._wake.wait()
        return True, listened

    async def _unbind(self) -> None:
        endpoint, self._endpoint = self._endpoint, None
        self._counters.registered = False
        if endpoint is not None:
            self._directory.overlook(endpoint.path)
            await endpoint.close()

    def outcome(self, *, registered: bool, error: str) -> None:
        """The kubelet has tried to register us."""
        self._counters.registered = registered
        if registered:
            self._counters.registrations[CAUSE] += 1
            self._trouble = ""
            log.info("registered with the kubelet", resource=self.resource, cause=CAUSE, socket=self._path)
        else:
            self._counters.registration_failures += 1
            self.note(f"the kubelet refuses it and tries again: {error[:300]}")

    def note(self, trouble: str) -> None:
        """Log trouble once, however often it is met."""
        if trouble != self._trouble:
            self._trouble = trouble
            log.warning("not registered", resource=self.resource, reason=trouble)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


class Registrar(RegistrationServicer):
    """What the kubelet asks a socket in plugins_registry."""

    def __init__(self, server: RegistryServer) -> None:
        self._server = server

    async def GetInfo(
        self, request: pb.InfoRequest, context: "ServicerContext[pb.InfoRequest, pb.PluginInfo]"
    ) -> pb.PluginInfo:
        return pb.PluginInfo(type="DevicePlugin", name=self._server.resource, supported_versions=[VERSION])

    async def NotifyRegistrationStatus(
        self,
        request: pb.RegistrationStatus,
        context: "ServicerContext[pb.RegistrationStatus, pb.RegistrationStatusResponse]",
    ) -> pb.RegistrationStatusResponse:
        self._server.outcome(registered=request.plugin_registered, error=request.error)
        return pb.RegistrationStatusResponse()
