"""A program's page for monitoring: /metrics, /healthz and /readyz, served from a thread of its own."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder, gzip_accepted

from xpu_shared.program.logs import Log
from xpu_shared.program.options import ListenAddress

RETRY = 2.0  # seconds between attempts to listen
FRESH = 1.0  # seconds that a rendered page is good for: a flood of scrapes renders once a second
MOST_CONNECTIONS = 16

Check = Callable[[], tuple[bool, str]]

log = Log("web")


class Pages:
    """What is served: the metrics as text, rendered at most once a second, and the two checks."""

    def __init__(self, registry: CollectorRegistry, *, healthy: Check, ready: Check) -> None:
        self.checks = {"/healthz": healthy, "/readyz": ready}
        self._registry = registry
        self._rendered: dict[str, tuple[float, bytes]] = {}
        self._lock = threading.Lock()

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """The page and its content type, as the client accepts it."""
        encode, content_type = choose_encoder(accept)
        with self._lock:
            at, page = self._rendered.get(content_type, (0.0, b""))
            if time.monotonic() - at >= FRESH:
                page = encode(self._registry)
                self._rendered = {**self._rendered, content_type: (time.monotonic(), page)}
                if len(self._rendered) > 8:
                    self._rendered = {}
        return page, content_type


class Handler(BaseHTTPRequestHandler):
    pages: ClassVar[Pages]
    timeout = 5  # seconds for a request to arrive
    protocol_version = "HTTP/1.0"  # one request a connection
    server_version = "xpu"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            page, content_type = self.pages.metrics(self.headers.get("Accept", ""))
            encoding = gzip_accepted(self.headers.get("Accept-Encoding", ""))
            self._answer(HTTPStatus.OK, page, content_type, compress=encoding)
        elif path in self.pages.checks:
            good, text = self.pages.checks[path]()
            status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, f"{text}\n".encode(), "text/plain; charset=utf-8")
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"/metrics, /healthz, /readyz\n", "text/plain; charset=utf-8")

    do_HEAD = do_GET  # noqa: N815 - the base class looks for this name

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str, *, compress: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        if compress:
            import gzip  # noqa: PLC0415 - only clients that ask for it

            body = gzip.compress(body, 1)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Errors of the request itself: an unknown method is not an unimplemented one here."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            code, message = HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD"
        super().send_error(code, message, explain)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        log.verbose(5, "request", client=self.client_address[0], line=format % args)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def __init__(self, address: ListenAddress, handler: type[Handler]) -> None:
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self.address_family = socket.AF_INET6 if not address.host or ":" in address.host else socket.AF_INET
        super().__init__((address.host, address.port), handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(
                socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0
            )  # ":9101" is every address of the machine
        super().server_bind()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            with contextlib.suppress(OSError):
                request.sendall(b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

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
        self._thread.join(1.0)

    def _run(self) -> None:
        trouble = ""
        while not self._closing.is_set():
            try:
                self._server = self._listen()
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

    def _listen(self) -> Server:
        try:
            return Server(self._address, self._handler)
        except OSError:
            if self._address.host:
                raise
            return Server(ListenAddress("0.0.0.0", self._address.port), self._handler)  # noqa: S104 - no IPv6 here


def serve(address: ListenAddress, registry: CollectorRegistry, *, healthy: Check, ready: Check) -> WebServer:
    """Serve a program's page; returns what closes it."""
    return WebServer(address, Pages(registry, healthy=healthy, ready=ready))
