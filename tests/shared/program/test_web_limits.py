"""What the page does with clients and collectors that misbehave."""

import http.client
import json
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

import pytest
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from xpu_shared.program.options import ListenAddress
from xpu_shared.program.pages import Check
from xpu_shared.program.web import LONGEST_REQUEST, MOST_CONNECTIONS, WebServer, serve


class Renders(Collector):
    """Counts how often a page is made."""

    count = 0
    failure: Exception | None = None

    def collect(self) -> Iterable[Metric]:
        self.count += 1
        if self.failure:
            raise self.failure
        yield GaugeMetricFamily("renders", "How often.", value=self.count)


def ok() -> tuple[bool, str]:
    return True, "ok"


Serve = Callable[..., WebServer]


@pytest.fixture
def renders() -> Renders:
    return Renders()


@pytest.fixture
def start(renders: Renders) -> Iterator[Serve]:
    servers: list[WebServer] = []

    def start(host: str = "127.0.0.1", ready: Check = ok) -> WebServer:
        registry = CollectorRegistry()
        registry.register(renders)
        renders.count = 0  # registering looks at what is collected
        servers.append(serve(ListenAddress(host, 0), registry, healthy=ok, ready=ready))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def ask(
    server: WebServer, path: str, method: str = "GET", **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port(), timeout=10)) as connection:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def send(server: WebServer, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port()), timeout=10) as client:
        client.sendall(data)
        return client.makefile("rb").read()


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.2,text/plain",
        "application/openmetrics-text;version=abc",
        "text/plain;q=0.1 , Application/OpenMetrics-Text",
    ],
)
def test_openmetrics_is_what_openmetrics_clients_get(start: Serve, accept: str) -> None:
    _, headers, body = ask(start(), "/metrics", Accept=accept)

    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0;")
    assert body.endswith(b"# EOF\n")


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/plain;version=1.0.0;escaping=allow-utf-8",
        ";;,,=;",
        "text/html",
        "application/openmetrics-text;version=1.0.0;q=0, text/plain",
    ],
)
def test_the_text_format_is_what_all_others_get(start: Serve, accept: str) -> None:
    status, headers, _ = ask(start(), "/metrics", Accept=accept)

    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")


def test_clients_cannot_have_a_page_made_for_each_of_them(start: Serve, renders: Renders) -> None:
    server = start()
    for number in range(20):
        ask(server, f"/metrics?{number}", Accept=f"application/openmetrics-text;version=1.0.{number}")

    assert renders.count <= 2  # a second may pass meanwhile


def test_the_page_is_made_anew_after_a_while(start: Serve, renders: Renders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xpu_shared.program.pages.FRESH", 0.0)
    server = start()

    assert b"renders 1.0" in ask(server, "/metrics")[2]
    assert b"renders 2.0" in ask(server, "/metrics")[2]


def test_a_collector_that_fails_costs_its_page_and_one_log_line(
    start: Serve, renders: Renders, caplog: pytest.LogCaptureFixture
) -> None:
    server = start()
    renders.failure = RuntimeError("no such device")
    with caplog.at_level("ERROR", "xpu.web"):
        assert [ask(server, "/metrics")[0] for _ in range(3)] == [500, 500, 500]
    assert [record.getMessage() for record in caplog.records] == ["cannot make a page"]
    assert ask(server, "/healthz")[0] == 200

    renders.failure = None
    assert ask(server, "/metrics")[0] == 200


def test_a_check_that_fails_is_an_error_of_the_server(start: Serve) -> None:
    def broken() -> tuple[bool, str]:
        raise ZeroDivisionError

    assert ask(start(ready=broken), "/readyz")[0] == 500


def test_a_check_may_say_anything(start: Serve) -> None:
    status, _, body = ask(start(ready=lambda: (False, "card \ud800 é")), "/readyz")
    assert (status, body) == (503, "card \\ud800 é\n".encode())


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_other_methods_are_not_allowed(start: Serve, method: str) -> None:
    server = start()

    status, headers, _ = ask(server, "/metrics", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert ask(server, "/nothing", method)[0] == 404


@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /" + b"a" * LONGEST_REQUEST,
        b"GET / HTTP/1.0\r\n" + b"x: y\r\n" * 3000,
        b"GET / HTTP/1.0\r\nx:" + b"y" * 20_000,
    ],
    ids=["line", "headers", "header"],
)
def test_a_request_that_does_not_end_is_refused(start: Serve, request_head: bytes) -> None:
    assert send(start(), request_head[: LONGEST_REQUEST + 1]).startswith(b"HTTP/1.0 431 ")


def test_slow_clients_are_cut_off_and_others_served_again(start: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xpu_shared.program.web.LONGEST_CONNECTION", 0.0)
    server = start()
    slow = [socket.create_connection(("127.0.0.1", server.port()), timeout=10) for _ in range(MOST_CONNECTIONS)]
    for client in slow:
        with client:
            client.sendall(b"GET /hea")
            assert client.recv(100) == b""

    monkeypatch.setattr("xpu_shared.program.web.LONGEST_CONNECTION", 10.0)
    assert ask(server, "/healthz")[0] == 200


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["", "::1"])
def test_ipv6_clients_are_served(start: Serve, host: str) -> None:
    server = start(host=host)
    with socket.create_connection((host or "::1", server.port()), timeout=10) as client:
        client.sendall(b"HEAD /healthz HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.0 200 OK\r\n")


def test_a_machine_without_ipv6_is_served_on_ipv4(start: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "AF_INET6", 12345)  # a family that the kernel does not know
    assert ask(start(host=""), "/healthz")[0] == 200


def test_closing_frees_the_port_and_ends_waiting(start: Serve) -> None:
    first = start()
    address = ListenAddress("127.0.0.1", first.port())
    second = serve(address, CollectorRegistry(), healthy=ok, ready=ok)
    second.close()  # while it waits for the port
    first.close()

    third = serve(address, CollectorRegistry(), healthy=ok, ready=ok)
    assert third.port() == address.port
    third.close()


def test_prometheus_is_imported_by_the_first_page_only() -> None:
    import subprocess
    import sys

    code = "import sys, json, xpu_shared.program.web; print(json.dumps('prometheus_client' in sys.modules))"
    assert json.loads(subprocess.check_output([sys.executable, "-c", code])) is False
