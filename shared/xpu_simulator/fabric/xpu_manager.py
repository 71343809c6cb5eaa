"""An XPU Manager 1.x's metrics page over HTTP or HTTPS, as its exporter makes it: comments, then sorted lines."""

import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from xpu_simulator.device import SimulatedDevice
from xpu_simulator.fabric.description import End
from xpu_simulator.fabric.state import FabricState
from xpu_simulator.families.gpu.device import Gpu
from xpu_simulator.level_zero.cards import known_to_library

DIRECT = 1
POLL = 0.1  # seconds until the server notices that it is to end


def page(devices: Sequence[SimulatedDevice], fabric: FabricState) -> str:
    """The text of the page; the last line has no end, as the exporter's."""
    gpus = sorted(filter(known_to_library, devices), key=lambda gpu: gpu.pci_address)
    header = [
        "# HELP xpum_power_watts Average power of the card",
        "# TYPE xpum_power_watts gauge",
        "# HELP xpum_topology_link Connection between two tiles",
        "# TYPE xpum_topology_link gauge",
    ]
    power = [f'xpum_power_watts{{pci_bdf="{gpu.pci_address}",src="direct"}} 77.1' for gpu in gpus]
    return "\n".join([*header, *sorted([*power, *_links(gpus, fabric)])])


def _links(gpus: Sequence[Gpu], fabric: FabricState) -> Iterator[str]:
    by_name = {gpu.name: (number, gpu) for number, gpu in enumerate(gpus)}
    for joint, state in fabric.links(list(by_name)):
        if state == "up":  # its own rule: a degraded link is none
            for local, remote in ((joint.a, joint.b), (joint.b, joint.a)):
                yield _line(by_name, local, remote, joint.lanes)


def _line(by_name: dict[str, tuple[int, Gpu]], local: End, remote: End, lanes: int) -> str:
    number, gpu = by_name[local.gpu]
    return (
        f'xpum_topology_link{{local_device_id="{number}",local_subdevice_id="{local.tile}",'
        f'local_on_subdevice="{"true" if gpu.tiles > 1 else "false"}",local_numa_index="{gpu.numa_node}",'
        f'remote_device_id="{by_name[remote.gpu][0]}",remote_subdevice_id="{remote.tile}", lane_count="{lanes}",'
        f'pci_bdf="{gpu.pci_address}",src="direct"}} {DIRECT}'
    )


class XpuManager:
    """Serves the page until closed.

    Args:
        text: makes the page of now; called in the server's threads.
        host: the address of this machine where it listens.
        tls: for HTTPS.
        token: that requests must bear; empty: none.
    """

    def __init__(
        self,
        text: Callable[[], str],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        token: str = "",
    ) -> None:
        handler = type("BoundHandler", (_Handler,), {"text": staticmethod(text), "token": token})
        self._server = ThreadingHTTPServer((host, port), handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://{host}:{self._server.server_address[1]}/metrics"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    text: Callable[[], str]
    token: str
    timeout = 5  # seconds for the next bytes

    def do_GET(self) -> None:
        if self.token and self.headers.get("Authorization") != f"Bearer {self.token}":
            self.send_error(HTTPStatus.UNAUTHORIZED)
            return
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        body = self.text().encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Requests are no news."""
