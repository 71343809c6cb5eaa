"""Metrics pages as XPU Manager 1.x exports them, and a server that misbehaves on demand."""

# ruff: noqa: E501 - lines as they are exported

import ssl
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import combinations
from typing import Any

EXAMPLE = """\
# HELP xpum_topology_link x
xpum_topology_link{local_device_id="2",local_subdevice_id="1",local_on_subdevice="true",remote_device_id="5",remote_subdevice_id="0",lane_count="8"} 1
xpum_topology_link{local_device_id="5",local_subdevice_id="0",local_on_subdevice="true",remote_device_id="2",remote_subdevice_id="1",lane_count="8"} 1
xpum_topology_link{local_device_id="3",local_subdevice_id="0",local_on_subdevice="true",remote_device_id="2",remote_subdevice_id="0",lane_count="3"} 1
xpum_topology_link{local_device_id="10",local_subdevice_id="0",local_on_subdevice="true",remote_device_id="3",remote_subdevice_id="1", lan_count="4"} 1.0
xpum_topology_link{local_device_id="3",local_subdevice_id="0",local_on_subdevice="false",remote_device_id="4",remote_subdevice_id="0",lane_count="16"} 1
xpum_topology_link{local_device_id="2",local_subdevice_id="0",local_on_subdevice="true",remote_device_id="2",remote_subdevice_id="1",lane_count="16"} 5
xpum_topology_link{local_device_id="7",local_subdevice_id="1",local_on_subdevice="true",remote_device_id="7",remote_subdevice_id="0",lane_count="4"} 1
xpum_topology_link{local_device_id="7",local_subdevice_id="0",local_on_subdevice="true",remote_device_id="7",remote_subdevice_id="1",lane_count="4"} 1"""


def sample(
    local: str, remote: str, lanes: object = 8, value: object = 1, *, bdf: str = "", tile: str = "true", more: str = ""
) -> str:
    """A line; ends are `device.tile`."""
    (device, sub), (other, other_sub) = local.split("."), remote.split(".")
    address = f',pci_bdf="{bdf}"' if bdf else ""
    return (
        f'xpum_topology_link{{local_device_id="{device}",local_subdevice_id="{sub}",local_on_subdevice="{tile}",'
        f'remote_device_id="{other}",remote_subdevice_id="{other_sub}",lane_count="{lanes}"{address}{more}}} {value}'
    )


def address(device: int) -> str:
    return f"0000:{0x20 + device:02x}:00.0"


def both(local: str, remote: str, lanes: int = 8) -> list[str]:
    """A link as it is exported, in both directions with the addresses of the local sides."""
    return [
        sample(one, other, lanes, bdf=address(int(one.split(".")[0])))
        for one, other in ((local, remote), (remote, local))
    ]


def mesh(devices: list[int], tiles: int) -> list[str]:
    """Equal tiles of all pairs of devices, in one direction, in the order of the specification's examples."""
    return [sample(f"{a}.{tile}", f"{b}.{tile}") for a, b in combinations(devices, 2) for tile in range(tiles)]


@dataclass
class Server:
    """What the next requests get."""

    port: int = 0
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    misbehave: Callable[[Any], None] | None = None  # gets the handler instead of an answer being sent
    requests: list[dict[str, str]] = field(default_factory=list)  # their headers
    ended: threading.Event = field(default_factory=threading.Event)

    def show(self, *lines: str) -> None:
        self.body = "\n".join(lines).encode()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/metrics"


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Generator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.requests.append({"path": self.path, **dict(self.headers)})
            if server.misbehave is not None:
                with suppress(OSError):
                    server.misbehave(self)
                return
            self.send_response(server.status)
            for name, value in server.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(server.body)))
            self.end_headers()
            self.wfile.write(server.body)

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    class QuietServer(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            """A client that goes is what some tests are about."""

    http = QuietServer(("127.0.0.1", 0), Handler)
    if context is not None:
        http.socket = context.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
    server.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        http.shutdown()
        http.server_close()


def drip(server: Server, data: bytes) -> Callable[[Any], None]:
    """Headers, and then a little every now and then for ever."""

    def misbehave(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not server.ended.wait(0.01):
            handler.wfile.write(data)

    return misbehave


def forever(data: bytes) -> Callable[[Any], None]:
    """As fast as it goes."""

    def misbehave(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in iter_forever():
            handler.wfile.write(data)

    return misbehave


def iter_forever() -> Iterator[None]:
    while True:
        yield None
