"""What runs from a kubelet's start to its stop. Its sockets stay behind, as those of a killed process do."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import grpc

from xpu_simulator.kubelet.device_manager import DeviceManager
from xpu_simulator.kubelet.plugins_registry import PluginsRegistry


class KubeletServer:
    """Serves on `socket` until it is stopped.

    Args:
        link: a name beside the socket's directory, not longer than the directory's own.
        add: gives the server its services.
    """

    def __init__(self, socket: Path, *, link: str, add: Callable[[grpc.aio.Server], None]) -> None:
        self._socket = socket
        self._link = socket.parent.with_name(link)
        self._server = grpc.aio.server()
        add(self._server)

    async def start(self) -> None:
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(self._socket.parent.name)
        try:
            self._server.add_insecure_port(f"unix:{self._link / self._socket.name}")
        except RuntimeError as error:  # gRPC does not tell why: no room for it, say
            raise OSError(f"the kubelet cannot listen on {self._socket}") from error
        await self._server.start()

    async def stop(self) -> None:
        # gRPC unlinks the path it was told to bind; without the link it was reached through, the socket stays.
        self._link.unlink(missing_ok=True)
        await self._server.stop(None)


class KubeletLife:
    def __init__(self, manager: DeviceManager, registry: PluginsRegistry, *servers: KubeletServer) -> None:
        self.manager = manager
        self._registry = registry
        self._servers = servers

    async def start(self) -> None:
        for server in self._servers:
            await server.start()
        self._registry.start()

    async def stop(self) -> None:
        await asyncio.gather(*(server.stop() for server in self._servers))
        await self._registry.close()
        await self.manager.close()
