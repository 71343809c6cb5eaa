"""plugins_registry: whoever puts a socket there is asked what it is and registered; when the socket goes, it is not.

The directory is looked at every 100 ms (the standard library has no inotify; kubelets act on their inotify events once
a second). It is never wiped, and what is there when the kubelet starts is found like any other socket. The end of a
plugin's stream changes nothing here: the plugin counts as registered until its socket is another one. Each attempt is
told by a Registration event with `registry`, its end by Deregistration.
"""

import asyncio
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from xpu_simulator.kubelet.connection import PluginError, answered, channel_to
from xpu_simulator.kubelet.device_manager import DeviceManager, RegistrationError, check_plugin
from xpu_simulator.kubelet.events import Call, Deregistration, Event, Registration
from xpu_wire import pluginregistration_v1_pb2 as pb
from xpu_wire import pluginregistration_v1_pb2_grpc as pb_grpc

PERIOD = 0.1  # seconds between two looks
GET_INFO_TIMEOUT = 1.0  # seconds
NOTIFY_TIMEOUT = 5.0  # seconds
FIRST_RETRY, LONGEST_RETRY = 0.5, 122.0  # seconds; it doubles in between
DEVICE_PLUGIN = "DevicePlugin"

Identity = tuple[int, int, int]  # device, inode and time of creation: inode numbers are used again


class PluginsRegistry:
    """Watches a directory while its kubelet runs."""

    def __init__(
        self, directory: Path, manager: DeviceManager, *, dial_timeout: float, publish: Callable[[Event], None]
    ) -> None:
        self._directory = directory
        self._manager = manager
        self._dial_timeout = dial_timeout
        self._publish = publish
        self._sockets: dict[Path, _Socket] = {}
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """The kubelet ends: nothing is deregistered, its connections are cut with all others."""
        tasks = [self._watching, *(socket.registering for socket in self._sockets.values())]
        await _cancel(*(task for task in tasks if task))

    async def _watch(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(PERIOD)

    async def _look(self) -> None:
        found = dict(sockets_below(self._directory))
        for path, socket in tuple(self._sockets.items()):
            if found.get(path) != socket.identity:
                del self._sockets[path]
                await socket.gone()
        for path in found.keys() - self._sockets.keys():
            self._sockets[path] = _Socket(
                path, found[path], self._manager, dial_timeout=self._dial_timeout, publish=self._publish
            )


class _Socket:
    """One socket from when it was seen until it goes: tried until it is registered."""

    def __init__(
        self,
        path: Path,
        identity: Identity,
        manager: DeviceManager,
        *,
        dial_timeout: float,
        publish: Callable[[Event], None],
    ) -> None:
        self.identity = identity
        self._path = path
        self._manager = manager
        self._dial_timeout = dial_timeout
        self._publish = publish
        self._registered: tuple[str, Path] | None = None  # resource and endpoint
        self.registering = asyncio.create_task(self._register())

    async def gone(self) -> None:
        await _cancel(self.registering)
        if self._registered:
            self._publish(Deregistration(resource=self._registered[0], endpoint=self._path.name))
            await self._deregister()

    async def _register(self) -> None:
        wait = FIRST_RETRY
        while not await self._try():
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_RETRY)

    async def _try(self) -> bool:
        """One attempt: what the plugin says of itself, the connection, and the outcome for the plugin to know."""
        info, error = pb.PluginInfo(), ""
        plugin = _RegistrationClient(self._path, self._publish)
        try:
            info = await plugin.info(dial_timeout=self._dial_timeout)
            error = await self._connect(info)
            await plugin.notify(info.name, error)
        except PluginError as failure:
            error = str(failure)
            await self._deregister()
        finally:
            await plugin.close()
        versions = ",".join(info.supported_versions)
        self._publish(
            Registration(resource=info.name, endpoint=self._path.name, version=versions, error=error, registry=True)
        )
        return not error

    async def _connect(self, info: pb.PluginInfo) -> str:
        """Connect to the plugin at the endpoint it names; the answer is why that failed, or nothing."""
        if info.type != DEVICE_PLUGIN:
            return f"RegisterPlugin error -- no handler registered for plugin type: {info.type} at socket {self._path}"
        endpoint = Path(info.endpoint or self._path)
        try:
            check_plugin(info.name, info.supported_versions)
        except RegistrationError as error:
            return f"RegisterPlugin error -- plugin validation failed with err: {error}"
        try:
            await self._manager.connect(info.name, endpoint)
        except RegistrationError as error:
            return f"RegisterPlugin error -- plugin registration failed with err: {error}"
        self._registered = info.name, endpoint
        return ""

    async def _deregister(self) -> None:
        registered, self._registered = self._registered, None
        if registered:
            await self._manager.disconnect(*registered)


class _RegistrationClient:
    """Asks a socket what it is, and tells it what came of that."""

    def __init__(self, path: Path, publish: Callable[[Event], None]) -> None:
        self._path = path
        self._publish = publish
        self._channel = channel_to(path)
        self._plugin = pb_grpc.RegistrationStub(self._channel)

    async def info(self, *, dial_timeout: float) -> pb.PluginInfo:
        try:
            async with asyncio.timeout(dial_timeout):
                await self._channel.channel_ready()
        except TimeoutError:
            raise PluginError(f"RegisterPlugin error -- dial failed at socket {self._path}") from None
        self._publish(Call(method="GetInfo", resource=""))
        try:
            return await answered(self._plugin.GetInfo(pb.InfoRequest(), timeout=GET_INFO_TIMEOUT))
        except PluginError as error:
            reason = f"failed to get plugin info using RPC GetInfo at socket {self._path}, err: {error}"
            raise PluginError(f"RegisterPlugin error -- {reason}") from error

    async def notify(self, resource: str, error: str) -> None:
        self._publish(Call(method="NotifyRegistrationStatus", resource=resource, arguments=(int(not error), error)))
        status = pb.RegistrationStatus(plugin_registered=not error, error=error)
        try:
            await answered(self._plugin.NotifyRegistrationStatus(status, timeout=NOTIFY_TIMEOUT))
        except PluginError as failure:
            text = f"failed to send registration status at socket {self._path}, err: {error}: {failure}"
            raise PluginError(f"RegisterPlugin error -- {text}") from failure

    async def close(self) -> None:
        await self._channel.close()


def sockets_below(directory: Path) -> Iterator[tuple[Path, Identity]]:
    """The sockets of a directory and those below it, but for hidden names. What goes meanwhile is not there."""
    for place, directories, names in os.walk(directory):
        directories[:] = [name for name in directories if not name.startswith(".")]
        for name in names:
            path = Path(place, name)
            identity = None if name.startswith(".") else _socket_identity(path)
            if identity:
                yield path, identity


def _socket_identity(path: Path) -> Identity | None:
    try:
        status = path.stat()
    except OSError:
        return None
    # Nobody writes to a socket's file, so its time of modification is that of its creation.
    return (status.st_dev, status.st_ino, status.st_mtime_ns) if stat.S_ISSOCK(status.st_mode) else None


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
