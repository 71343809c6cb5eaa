"""One bound gRPC server of one resource: a socket of ours in the kubelet's directory, and the streams on it."""

from collections.abc import Callable
from pathlib import Path

import grpc
from grpc.aio import Server

from xpu_shared.kubelet import sockets
from xpu_shared.kubelet.streams import Streams
from xpu_shared.sockets import Identity, SocketError, identity, private_path, remove_own

GRACE = 1.0  # seconds that calls under way are given when the server closes
OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.http2.max_ping_strikes", 0),  # a kubelet may ping as often as it likes
)


class Endpoint:
    """Made by `bind`; ends with `close`."""

    def __init__(self, path: Path, server: Server, streams: Streams, ours: Identity) -> None:
        self.path = path
        self.streams = streams
        self.ours = ours
        self._server = server

    @property
    def in_place(self) -> bool:
        """Whether the path still names the socket that we put there."""
        return identity(self.path) == self.ours

    async def close(self) -> None:
        """End the streams, let other calls finish for a moment, remove the socket if it is still ours."""
        self.streams.close()
        remove_own(self.path, self.ours)
        await self._server.stop(GRACE)


async def bind(path: Path, add_services: Callable[[Server], None], streams: Streams) -> Endpoint:
    """Serve on `path`: bound under a private name beside it first, then renamed.

    Args:
        add_services: tells the server what it serves.
        streams: of the device plugin service among them.
    Raises:
        SocketError: a socket cannot be put there; nothing of ours is left behind.
    """
    sockets.check_place(path)
    private = private_path(path)
    server = grpc.aio.server(options=OPTIONS)
    add_services(server)
    try:
        server.add_insecure_port(sockets.target(private))
        await server.start()
        ours = sockets.put_in_place(private, path)
    except (RuntimeError, SocketError) as error:
        await server.stop(None)
        private.unlink(missing_ok=True)
        if isinstance(error, SocketError):
            raise
        raise SocketError(f"socket {path}: {error}") from error
    return Endpoint(path, server, streams, ours)
