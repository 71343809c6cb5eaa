"""A program's page for monitoring: /metrics, /healthz and /readyz, served from a thread of its own.

Anybody who can reach the port may ask, so connections are bounded in number, bytes and time. `pages.py` makes what is
served.
"""

import contextlib
import errno
import io
import re
import socket
import threading
import time
from http import HTTPStatus
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any, ClassVar

from xpu_shared.program.logs import Log
from xpu_shared.program.options import ListenAddress
from xpu_shared.program.pages import OPENMETRICS, PLAIN, Check, Metrics, Pages, RenderedWhenAsked

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

RETRY = 2.0  # seconds between attempts to listen
MOST_CONNECTIONS = 16  # beyond, a new one costs the oldest
LONGEST_REQUEST = 16 * 1024  # bytes of request line and headers
LONGEST_CONNECTION = 10.0  # seconds, however slowly the client sends or reads
REFUSED = re.compile(r"(?:^|;)\s*q\s*=\s*0(?:\.0*)?\s*(?:;|$)")
NO_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

log = Log("web")


class RequestReader(io.BufferedReader):
    """Reads a request line and headers, up to a limit."""

    left = LONGEST_REQUEST

    def readline(self, size: int | None = -1) -> bytes:
        limit = self.left + 1
        line = super().readline(limit if size is None or size < 0 else min(size, limit))
        self.left -= len(line)
        if self.left < 0:
            raise HTTPException(f"a request has at most {LONGEST_REQUEST} bytes")
        return line


class Handler(BaseHTTPRequestHandler):
    pages: ClassVar[Pages]
    rbufsize = 0  # the buffer is RequestReader's
    timeout = 5  # seconds for the next bytes to arrive
    protocol_version = "HTTP/1.0"  # one request a connection
    server_version = "xpu"
    sys_version = ""
    error_content_type = PLAIN
    error_message_format = "%(message)s\n"

    def setup(self) -> None:
        super().setup()
        self.rfile = RequestReader(self.rfile)

    def handle_one_request(self) -> None:
        self.close_connection = True
        self.command, self.path, self.requestline, self.request_version = "", "", "", ""
        try:
            super().handle_one_request()
        except HTTPException as error:
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, str(error))

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if not self.pages.has(path):
            self.send_error(HTTPStatus.NOT_FOUND, "there are /metrics, /healthz and /readyz")
            return
        compressed = path == "/metrics" and "gzip" in accepted(self.headers.get("Accept-Encoding", ""))
        openmetrics = OPENMETRICS in accepted(self.headers.get("Accept", ""))
        status, content_type, body = self.pages.page(path, openmetrics=openmetrics, compressed=compressed)
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        if compressed and status == HTTPStatus.OK:
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the base class looks for this name

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Errors of the request itself; a method that is unknown here is not one that is missing."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            if self.pages.has(self.path.partition("?")[0]):
                code, message = HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD"
            else:
                code, message = HTTPStatus.NOT_FOUND, "there are /metrics, /healthz and /readyz"
        super().send_error(code, message, explain)

    def send_response(self, code: int, message: str | None = None) -> None:
        super().send_response(code, message)
        if code == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        log.verbose(5, "request", client=self.client_address[0], line=format % args)


def accepted(header: str) -> set[str]:
    """The names in an Accept or Accept-Encoding header, without those whose weight is 0: they are refused."""
    parts = [part.partition(";") for part in header.lower().split(",")]
    return {name.strip() for name, _, parameters in parts if not REFUSED.search(parameters)}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def __init__(self, family: socket.AddressFamily, place: tuple[Any, ...], handler: type[Handler]) -> None:
        self.address_family = family
        self._since: dict[socket.socket, float] = {}  # when each open connection began
        super().__init__(place, handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:  # ":9101" is every address of the machine
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)  # HTTPServer's asks DNS for this machine's name, which may take long

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in NO_RESOURCES:
                time.sleep(0.1)  # the client still waits, so the loop would come back at once, for ever
            raise

    def service_actions(self) -> None:
        """Between requests: end connections that last too long."""
        for connection, since in list(self._since.items()):
            if time.monotonic() - since > LONGEST_CONNECTION:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        if len(self._since) >= MOST_CONNECTIONS:  # idle clients must not keep a probe from its answer
            oldest = min(list(self._since.items()), key=lambda item: item[1])[0]
            with contextlib.suppress(OSError):
                oldest.shutdown(socket.SHUT_RDWR)
        self._since[request] = time.monotonic()
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no more threads
            del self._since[request]
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            del self._since[request]

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.verbose(2, "a request failed", client=client_address[0])


class WebServer:
    """Serves until closed. A port that is taken is waited for."""

    def __init__(self, address: ListenAddress, pages: Pages) -> None:
        self._address = address
        self._handler = type("BoundHandler", (Handler,), {"pages": pages})
        self._closing = threading.Event()
        self._server: Server | None = None
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._thread.start()

    def port(self, within: float = 5.0) -> int:
        """The port it listens on, which the kernel chose when the address said 0."""
        self._listening.wait(within)
        if self._server is None:
            raise TimeoutError(f"{self._address}: not listening after {within:g} s")
        return int(self._server.server_address[1])

    def close(self) -> None:
        self._closing.set()
        if self._server is not None:  # shutdown waits for a loop that may not have begun
            threading.Thread(target=self._server.shutdown, name="web shutdown", daemon=True).start()
            with contextlib.suppress(OSError):
                self._server.socket.shutdown(socket.SHUT_RDWR)  # wakes the loop, which looks only twice a second
        self._thread.join(1.0)

    def _run(self) -> None:
        trouble = ""
        while not self._closing.is_set():
            try:
                self._server = listen(self._address, self._handler)
            except OSError as error:
                if str(error) != trouble:
                    trouble = str(error)
                    log.warning("cannot listen yet, keeps trying", address=self._address, reason=error)
                self._closing.wait(RETRY)
                continue
            self._listening.set()
            with self._server as server:
                log.info("serves metrics", address=self._address, port=server.server_address[1])
                if not self._closing.is_set():
                    server.serve_forever(poll_interval=0.5)
            return


def listen(address: ListenAddress, handler: type[Handler]) -> Server:
    """A server on the address; OSError when it cannot be had now."""
    if address.host:
        family, _, _, _, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        return Server(family, place, handler)
    try:
        return Server(socket.AF_INET6, ("::", address.port), handler)
    except OSError as error:
        if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):  # no IPv6 here
            raise
    return Server(socket.AF_INET, ("0.0.0.0", address.port), handler)  # noqa: S104 - all addresses were asked for


def serve(address: ListenAddress, registry: "CollectorRegistry", *, healthy: Check, ready: Check) -> WebServer:
    """Serve a program's page; returns what closes it."""
    return serve_metrics(address, RenderedWhenAsked(registry), healthy=healthy, ready=ready)


def serve_metrics(address: ListenAddress, metrics: Metrics, *, healthy: Check, ready: Check) -> WebServer:
    """Serve metrics that somebody else renders; returns what closes it."""
    return WebServer(address, Pages(metrics, healthy=healthy, ready=ready))
