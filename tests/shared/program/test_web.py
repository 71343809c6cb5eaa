import errno
import gzip
import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry, Counter

from xpu_shared.program.options import ListenAddress
from xpu_shared.program.web import MOST_CONNECTIONS, WebServer, serve


class Page:
    """A server with one counter that counts how often it was rendered."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.registry = CollectorRegistry()
        self.renders = 0
        counter = Counter("demo", "A demo.", registry=self.registry)
        counter.inc(3)
        self.registry.register(self)  # type: ignore[arg-type]  # it has what a collector has
        self.ready = True
        self.server: WebServer = serve(
            ListenAddress(host, 0), self.registry, healthy=lambda: (True, "ok"), ready=lambda: (self.ready, "waiting")
        )
        self.host = host
        self.port = self.server.port()

    def describe(self) -> list[object]:
        return []

    def collect(self) -> list[object]:
        self.renders += 1
        return []

    def request(self, method: str, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request(method, path, headers={key.replace("_", "-"): value for key, value in headers.items()})
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()


@pytest.fixture
def page() -> Iterator[Page]:
    page = Page()
    yield page
    page.server.close()


def test_metrics_are_text_by_default_and_openmetrics_when_asked_for(page: Page) -> None:
    response, body = page.request("GET", "/metrics")
    assert response.status == 200
    assert "version=0.0.4" in response.headers["Content-Type"]
    assert b"demo_total 3.0" in body

    response, body = page.request("GET", "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert "openmetrics" in response.headers["Content-Type"]
    assert body.endswith(b"# EOF\n")


def test_a_client_that_accepts_gzip_gets_it(page: Page) -> None:
    response, body = page.request("GET", "/metrics", Accept_Encoding="gzip")

    assert response.headers["Content-Encoding"] == "gzip"
    assert b"demo_total 3.0" in gzip.decompress(body)


@pytest.mark.parametrize("refusal", ["identity", "gzip;q=0", "gzip; Q=0.000, identity", "deflate, gzip ; q = 0.0 ;x=1"])
def test_a_client_that_refuses_gzip_does_not_get_it(page: Page, refusal: str) -> None:
    response, body = page.request("GET", "/metrics", Accept_Encoding=refusal)

    assert "Content-Encoding" not in response.headers
    assert b"demo_total 3.0" in body


@pytest.mark.parametrize("wish", ["gzip;q=0.001", "gzip;q=1", "gzip;q=0.5, identity;q=0", "GZIP;xq=0"])
def test_a_client_that_prefers_gzip_however_little_gets_it(page: Page, wish: str) -> None:
    response, _ = page.request("GET", "/metrics", Accept_Encoding=wish)

    assert response.headers["Content-Encoding"] == "gzip"


def test_a_flood_of_scrapes_renders_once(page: Page) -> None:
    before = page.renders
    for _ in range(20):
        page.request("GET", "/metrics")

    assert page.renders - before <= 2


def test_checks_say_why(page: Page) -> None:
    assert page.request("GET", "/healthz")[0].status == 200
    page.ready = False
    response, body = page.request("GET", "/readyz")
    assert (response.status, body) == (503, b"waiting\n")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/metrics/x", 404), ("POST", "/metrics", 405), ("GET", "/metrics?x=1", 200)],
)
def test_other_requests_are_answered_as_http_wants(page: Page, method: str, path: str, status: int) -> None:
    assert page.request(method, path)[0].status == status


def test_head_has_the_headers_and_no_body(page: Page) -> None:
    response, body = page.request("HEAD", "/metrics")

    assert response.status == 200
    assert int(response.headers["Content-Length"]) > 0
    assert body == b""


def test_clients_that_never_ask_do_not_keep_others_from_their_answer(page: Page) -> None:
    idle = [socket.create_connection((page.host, page.port), timeout=10) for _ in range(3 * MOST_CONNECTIONS)]

    assert page.request("GET", "/healthz")[0].status == 200
    assert idle[0].recv(100) == b""
    for connection in idle:
        connection.close()


@contextmanager
def dropped() -> Iterator[None]:
    """The server may have gone already; that it is silent instead is an error."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
            raise


@pytest.mark.parametrize("noise", [b"\0\xff\r\n\r\n", b"GET\r\n\r\n", b"GET /metrics HTTP/9.9\r\n\r\n", b"x" * 70_000])
def test_noise_is_answered_or_dropped_and_the_next_client_is_served(page: Page, noise: bytes) -> None:
    with socket.create_connection((page.host, page.port), timeout=10) as client, dropped():
        client.sendall(noise)
        client.shutdown(socket.SHUT_WR)
        client.recv(100)
    assert page.request("GET", "/healthz")[0].status == 200


def test_every_address_of_the_machine() -> None:
    page = Page(host="")
    page.host = "127.0.0.1"
    assert page.request("GET", "/healthz")[0].status == 200
    page.server.close()


def test_a_port_that_is_taken_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xpu_shared.program.web.RETRY", 0.05)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = ListenAddress("127.0.0.1", other.getsockname()[1])
        server = serve(address, CollectorRegistry(), healthy=lambda: (True, ""), ready=lambda: (True, ""))
    assert server.port() == address.port
    server.close()
