"""What a running kubelet knows of its plugins: the resources, and the connections that report on them.

It lives as long as its kubelet; `resources` are handed from one to the next, as the checkpoint does.
"""

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path

from xpu_simulator.kubelet.bookkeeping import AlreadyConnectedError, Bookkeeping
from xpu_simulator.kubelet.connection import PluginConnection, PluginError
from xpu_simulator.kubelet.events import Event, ListReceived, ResourceDropped, StreamEnded
from xpu_simulator.kubelet.names import invalid_because
from xpu_simulator.kubelet.resources import Resource, Resources, natural
from xpu_wire import deviceplugin_v1beta1_pb2 as pb

API_VERSION = "v1beta1"


class RegistrationError(Exception):
    """Register is refused; the plugin reads the text with status UNKNOWN."""


class DeviceManager:
    def __init__(
        self,
        directory: Path,
        resources: Resources,
        *,
        by_path: bool,
        authority: str | None,
        dial_timeout: float,
        grace: float,
        publish: Callable[[Event], None],
    ) -> None:
        self._directory = directory
        self._resources = resources
        self._authority = authority
        self._dial_timeout = dial_timeout
        self._grace = grace
        self._publish = publish
        self._bookkeeping: Bookkeeping[PluginConnection] = Bookkeeping(by_path=by_path)
        self._streams: dict[PluginConnection, asyncio.Task[None]] = {}
        self._graces: dict[str, asyncio.TimerHandle] = {}
        self._paused: set[str] = set()

    def recall(self, names: Collection[str]) -> None:
        """A kubelet starts: what its checkpoint names exists without devices, for as long as the grace period lasts."""
        for name in names:
            self._resources.setdefault(name, Resource(name=name))
        for resource in self._resources.values():
            resource.forget()
            resource.registered = resource.name in names
            if resource.registered:
                self._start_grace(resource.name)

    async def close(self) -> None:
        """The kubelet ends: every stream and connection is cut."""
        for handle in self._graces.values():
            handle.cancel()
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.cancel()
        await asyncio.gather(*streams.values(), return_exceptions=True)
        await asyncio.gather(*(connection.close() for connection in streams))

    def speaker(self, resource: str) -> PluginConnection | None:
        return self._bookkeeping.speaker(resource)

    async def register(self, request: pb.RegisterRequest) -> None:
        """Check a registration and dial back; the stream follows when the call has been answered."""
        _check_register(request)
        await self.connect(request.resource_name, self._directory / request.endpoint)

    async def connect(self, resource: str, socket: Path) -> None:
        """Dial a plugin whose resource has been checked, and open its stream. Raises RegistrationError."""
        connection = PluginConnection(resource, socket, authority=self._authority, report=self._publish)
        self._bookkeeping.track(connection)
        try:
            await connection.open(timeout=self._dial_timeout)
            self._bookkeeping.connect(connection)
        except (PluginError, AlreadyConnectedError) as error:
            self._bookkeeping.untrack(connection)
            await connection.close()
            raise RegistrationError(str(error)) from error
        except asyncio.CancelledError:  # the kubelet stops
            await connection.close()
            raise
        self._connected(connection)

    def _connected(self, connection: PluginConnection) -> None:
        resource = self._resources.setdefault(connection.resource, Resource(name=connection.resource))
        resource.registered = True
        resource.pre_start_required = connection.options.pre_start_required
        self._end_grace(connection.resource)
        if connection.resource in self._paused:
            connection.reading.clear()
        self._streams[connection] = asyncio.create_task(self._watch(connection))

    async def _watch(self, connection: PluginConnection) -> None:
        reason = "the plugin ended it"
        try:
            async for devices in connection.lists():
                self._resources[connection.resource].replace(devices)
                self._list_received(connection)
        except PluginError as error:
            reason = str(error)
        await self._stream_ended(connection, reason)

    def _list_received(self, connection: PluginConnection) -> None:
        devices = sorted(self._resources[connection.resource].devices.values(), key=lambda device: natural(device.id))
        self._publish(
            ListReceived(
                resource=connection.resource,
                endpoint=connection.endpoint,
                healthy=[device.id for device in devices if device.healthy],
                unhealthy=[device.id for device in devices if not device.healthy],
            )
        )

    async def _stream_ended(self, connection: PluginConnection, reason: str) -> None:
        ended = self._bookkeeping.stream_ended(connection)
        if ended.resource_lost:
            self._lost(connection.resource)
        self._publish(StreamEnded(resource=connection.resource, endpoint=connection.endpoint, reason=reason))
        if ended.close is not None:
            await ended.close.close()
        if connection.closed:
            self._streams.pop(connection, None)  # else it is closed with the kubelet: its entry may still be asked

    async def disconnect(self, resource: str, socket: Path) -> None:
        """A plugin of plugins_registry was taken away. Up to 1.36 this hits whoever registered the name last."""
        ended = self._bookkeeping.ended(resource, socket)
        if ended.resource_lost:
            self._lost(resource)
        if ended.close is not None:
            await ended.close.close()  # its stream ends by this

    def _lost(self, resource: str) -> None:
        self._resources[resource].lose()
        self._start_grace(resource)

    def pause(self, resource: str) -> None:
        self._paused.add(resource)
        self._set_reading(resource, reading=False)

    def resume(self, resource: str) -> None:
        self._paused.discard(resource)
        self._set_reading(resource, reading=True)

    def _set_reading(self, resource: str, *, reading: bool) -> None:
        for connection in self._streams:
            if connection.resource == resource:
                connection.reading.set() if reading else connection.reading.clear()

    def _start_grace(self, resource: str) -> None:
        self._end_grace(resource)
        self._graces[resource] = asyncio.get_running_loop().call_later(self._grace, self._drop, resource)

    def _end_grace(self, resource: str) -> None:
        if handle := self._graces.pop(resource, None):
            handle.cancel()

    def _drop(self, resource: str) -> None:
        self._resources[resource].forget()
        self._resources[resource].registered = False
        self._publish(ResourceDropped(resource=resource))


def _check_register(request: pb.RegisterRequest) -> None:
    if request.version != API_VERSION:
        supported = f'Supported version is ["{API_VERSION}"]'
        raise RegistrationError(f'requested API version "{request.version}" is not supported by kubelet. {supported}')
    _check_name(request.resource_name)


def check_plugin(resource: str, versions: Collection[str]) -> None:
    """Check what a plugin of plugins_registry says of itself. Raises RegistrationError."""
    if API_VERSION not in versions:
        known = " ".join(versions)
        raise RegistrationError(f"manager version, {API_VERSION}, is not among plugin supported versions [{known}]")
    _check_name(resource)


def _check_name(resource: str) -> None:
    if reason := invalid_because(resource):
        raise RegistrationError(f'the ResourceName "{resource}" is invalid: {reason}')
