"""The two ways to tell the kubelet of a resource, and where their sockets are."""

from collections.abc import Callable
from typing import Protocol

from xpu_shared.counters import ResourceCounters
from xpu_shared.kubelet.directory import SocketDirectory
from xpu_shared.kubelet.registration import Timings
from xpu_shared.kubelet.resource_server import ResourceServer
from xpu_shared.kubelet.servicer import Servicer
from xpu_shared.kubelet.streams import Streams
from xpu_shared.plugin import Plugin
from xpu_shared.program.settings import PluginSettings


class Server(Protocol):
    """One resource at the kubelet, for as long as `run` runs."""

    resource: str

    @property
    def ready(self) -> bool: ...

    async def run(self) -> None: ...


class ServerType(Protocol):
    def __call__(
        self,
        plugin: Plugin,
        device_type: str,
        *,
        directory: SocketDirectory,
        servicer: Callable[[Streams], Servicer],
        counters: ResourceCounters,
        timings: Timings,
        instance: str,
    ) -> Server: ...


def places(settings: PluginSettings) -> list[tuple[SocketDirectory, ServerType]]:
    """Each directory that sockets are put in, with what serves a resource there."""
    found: list[tuple[SocketDirectory, ServerType]] = []
    for path in settings.socket_directories:
        if path.name == "device-plugins":
            found.append((SocketDirectory(path), ResourceServer))
        else:
            from xpu_shared.kubelet.registry_server import RegistryServer  # noqa: PLC0415 - its messages cost memory

            found.append((SocketDirectory(path), RegistryServer))
    return found
