"""The page over real HTTP and HTTPS: what is taken, and that nothing costs more than its time and bytes."""

import gzip
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from xpu_sidecars.xelink.fetching import Place, fetch
from xpu_sidecars.xelink.reading import SourceError
from xpum_pages import Server, drip, forever, serving


def failure(place: Place, **limits: Any) -> SourceError:
    with pytest.raises(SourceError) as raised:
        fetch(place, **limits)
    assert str(raised.value).startswith(place.url)
    return raised.value


def test_a_page_is_asked_for_as_it_should_be(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cr3t\n")
    with serving() as server:
        server.show("a 1")
        assert fetch(Place(url=f"{server.url}?x=1", token=tmp_path / "token")) == b"a 1"
        (request,) = server.requests
        assert request["path"] == "/metrics?x=1"
        assert request["Authorization"] == "Bearer s3cr3t"
        assert request["Host"] == f"127.0.0.1:{server.port}"
        fetch(Place(url=f"http://127.0.0.1:{server.port}"))
        assert server.requests[1]["path"] == "/metrics"
        assert "Authorization" not in server.requests[1]


def test_the_token_is_read_for_each_request_and_told_to_nobody_else(tmp_path: Path) -> None:
    token = tmp_path / "token"
    with serving() as server:
        place = Place(url=server.url, token=token)
        assert str(token) in str(failure(place))
        token.write_text("one")
        fetch(place)
        token.write_text("two")
        server.status = 401
        error = failure(place)
        assert [request["Authorization"] for request in server.requests] == ["Bearer one", "Bearer two"]
        assert "two" not in str(error)
        token.write_text("a b\r\nX: y")
        error = failure(place)
        assert (error.reason, "a b" in str(error)) == ("token", False)


@pytest.mark.parametrize("status", [204, 301, 401, 404, 500])
def test_another_status_than_200_is_a_failure_that_names_it(status: int) -> None:
    with serving() as server:
        server.show("xpum_topology_link 1")
        server.status = status
        server.headers = {"Location": "/elsewhere"}
        error = failure(Place(url=server.url))
    assert error.reason == "status"
    assert f"HTTP status {status}" in str(error)
    assert len(server.requests) == 1


def test_a_page_may_be_compressed() -> None:
    with serving() as server:
        server.body, server.headers = gzip.compress(b"a 1\n" * 100_000), {"Content-Encoding": "gzip"}
        assert fetch(Place(url=server.url)) == b"a 1\n" * 100_000


def test_a_compressed_page_may_have_several_members() -> None:
    with serving() as server:
        server.body, server.headers = gzip.compress(b"a 1\n") + gzip.compress(b"b 2\n"), {"Content-Encoding": "gzip"}
        assert fetch(Place(url=server.url)) == b"a 1\nb 2\n"


def test_what_a_stranger_sends_is_quoted_in_part() -> None:
    with serving() as server:
        server.misbehave = lambda handler: handler.wfile.write(b"x" * 60_000 + b"\r\n")
        assert len(str(failure(Place(url=server.url)))) < 400


def test_a_small_page_that_grows_beyond_the_limit_is_not_taken() -> None:
    with serving() as server:
        server.body, server.headers = gzip.compress(b"\0" * 100_000_000, 1), {"Content-Encoding": "gzip"}
        assert failure(Place(url=server.url)).reason == "too large"


@pytest.mark.parametrize(
    "body",
    [b"not gzip", gzip.compress(b"a 1\n" * 1000, mtime=0)[:-20], gzip.compress(b"a", mtime=0) + b"?"],
    ids=["text", "cut off", "text behind"],
)
def test_a_broken_compressed_page_is_a_failure(body: bytes) -> None:
    with serving() as server:
        server.body, server.headers = body, {"Content-Encoding": "gzip"}
        assert failure(Place(url=server.url)).reason == "connection"


def test_100_mib_are_not_read_to_their_end() -> None:
    with serving() as server:
        server.body = b"x" * 100 * 2**20
        assert failure(Place(url=server.url)).reason == "too large"


@pytest.mark.parametrize(
    ("misbehaviour", "reason"),
    [
        (lambda server: forever(b"x 1\n" * 10_000), "too large"),
        (lambda server: drip(server, b"x 1\n"), "timeout"),
        (lambda server: lambda handler: server.ended.wait(10), "timeout"),
        (lambda server: lambda handler: handler.wfile.write(b"\x16\x03\x01 no HTTP\r\n"), "connection"),
        (lambda server: lambda handler: None, "connection"),
        (
            lambda server: lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na 1"),
            "connection",
        ),
        (
            lambda server: lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 5000),
            "connection",
        ),
    ],
    ids=["endless", "dripping", "silent", "no HTTP", "nothing", "half", "headers"],
)
def test_whatever_answers_costs_its_time_and_nothing_else(
    misbehaviour: Callable[[Server], Callable[[Any], None]], reason: str
) -> None:
    with serving() as server:
        server.misbehave = misbehaviour(server)
        started = time.monotonic()
        error = failure(Place(url=server.url), timeout=0.5)
    assert error.reason == reason
    assert time.monotonic() - started < 5


def test_nobody_there_is_a_failure() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        error = failure(Place(url=f"http://127.0.0.1:{free.getsockname()[1]}/metrics"))
    assert error.reason == "connection"
    assert "refused" in str(error)


def test_a_server_that_takes_no_handshake_costs_its_time(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        place = Place(url=f"https://127.0.0.1:{deaf.getsockname()[1]}/metrics", certificates=tmp_path / "ca.pem")
        assert failure(place, timeout=0.3).reason == "timeout"


def secure(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    return context


def test_https_trusts_the_given_certificates_only_and_they_may_change(tmp_path: Path) -> None:
    ca, pem = trustme.CA(), tmp_path / "ca.pem"
    with serving(secure(ca, "127.0.0.1")) as server:
        server.show("a 1")
        place = Place(url=f"https://127.0.0.1:{server.port}/metrics", certificates=pem)
        missing = failure(place)
        assert (missing.reason, str(pem) in str(missing)) == ("tls", True)
        pem.write_text("no certificate")
        assert failure(place).reason == "tls"
        trustme.CA().cert_pem.write_to_path(pem)
        assert "certificate verify failed" in str(failure(place))
        ca.cert_pem.write_to_path(pem)
        assert fetch(place) == b"a 1"
        assert failure(Place(url=place.url)).reason == "tls"  # the system trusts others


def test_the_server_s_own_certificate_may_be_the_trusted_one(tmp_path: Path) -> None:
    ca = trustme.CA()
    issued = ca.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    with serving(context) as server:
        server.show("a 1")
        place = Place(url=f"https://127.0.0.1:{server.port}/metrics", certificates=tmp_path / "tls.crt")
        assert fetch(place) == b"a 1"


def test_the_certificate_is_for_the_server_that_was_asked(tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    with serving(secure(ca, "xpum.example")) as server:
        place = Place(url=f"https://127.0.0.1:{server.port}/metrics", certificates=tmp_path / "ca.pem")
        error = failure(place)
    assert error.reason == "tls"
    assert "IP address mismatch" in str(error)


def test_old_versions_of_tls_are_not_spoken(tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = secure(ca, "127.0.0.1")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with serving(context) as server:
        place = Place(url=f"https://127.0.0.1:{server.port}/metrics", certificates=tmp_path / "ca.pem")
        assert failure(place).reason == "tls"
