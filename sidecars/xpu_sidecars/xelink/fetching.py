"""One GET of a metrics page: bounded in time and bytes, whoever answers. Blocks; `xpum.py` has it work in a thread."""

import contextlib
import http.client
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from xpu_sidecars.xelink.reading import SourceError

TIMEOUT = 5.0  # seconds for the whole request
LARGEST = 16 * 1024 * 1024  # bytes of a page, also when it was compressed
LARGEST_TOKEN = 64 * 1024
CHUNK = 64 * 1024
OK = 200
GZIP = 16 + zlib.MAX_WBITS  # zlib's way to say it
CUT = "the answer ended before its end"
LONGEST_REASON = 256  # characters of an error, which may quote what a stranger sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the page is, and how it is asked for."""

    url: str
    certificates: Path | None = None  # PEM; the only ones that are trusted. None: those of the system
    token: Path | None = None  # a file with a bearer token


def fetch(place: Place, *, timeout: float = TIMEOUT, largest: int = LARGEST) -> bytes:
    """The page.

    Raises:
        SourceError: there is none within the time, or not one that can be used; the text names the URL.
    """
    deadline = time.monotonic() + timeout
    try:
        body = _within(deadline, place, largest)
        if time.monotonic() >= deadline:  # it was cut off, which may look like an end
            raise TimeoutError
        return body
    except SourceError as error:
        raise SourceError(error.reason, f"{place.url}: {error}") from error
    except (OSError, http.client.HTTPException, ValueError, zlib.error) as error:
        late = time.monotonic() >= deadline or isinstance(error, TimeoutError)
        reason = "timeout" if late else "tls" if isinstance(error, ssl.SSLError) else "connection"
        text = (
            f"no complete answer within {timeout:g} s" if late else str(error)[:LONGEST_REASON] or type(error).__name__
        )
        raise SourceError(reason, f"{place.url}: {text}") from error


def _within(deadline: float, place: Place, largest: int) -> bytes:
    parts = urlsplit(place.url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    left = deadline - time.monotonic()
    with socket.create_connection((host, port), timeout=left) as plain, plain.dup() as switch:
        # A socket's own timeout begins anew with each byte; this one ends the request as a whole.
        guard = threading.Timer(deadline - time.monotonic(), _cut, (switch,))
        guard.daemon = True
        guard.start()
        connection = http.client.HTTPConnection(host, port)
        try:
            context = _context(place.certificates) if secure else None
            connection.sock = context.wrap_socket(plain, server_hostname=host) if context else plain
            return _answer(connection, place, largest)
        finally:
            guard.cancel()
            connection.close()


def _cut(switch: socket.socket) -> None:
    with contextlib.suppress(OSError):
        switch.shutdown(socket.SHUT_RDWR)


def _context(certificates: Path | None) -> ssl.SSLContext:
    """Made anew for each request: certificates are renewed while we run."""
    try:
        context = ssl.create_default_context(cafile=certificates)
    except (OSError, ssl.SSLError) as error:
        raise SourceError("tls", f"{certificates}: expected PEM certificates: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the server's own certificate may be the trusted one
    context.verify_flags &= (
        ~ssl.VERIFY_X509_STRICT
    )  # which later Pythons ask for; such certificates have few extensions
    return context


def _token(path: Path) -> str:
    """Read for each request, because it is renewed too; it appears in no error."""
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            token = file.read(LARGEST_TOKEN).strip()
    except OSError as error:
        raise SourceError("token", f"{path}: {error.strerror or error}") from error
    if not token or not all("!" <= character <= "~" for character in token):
        raise SourceError("token", f"{path}: it holds no token")
    return token


def _answer(connection: http.client.HTTPConnection, place: Place, largest: int) -> bytes:
    parts = urlsplit(place.url)
    headers = {"Accept": "text/plain", "Accept-Encoding": "gzip", "Connection": "close"}
    if place.token is not None:
        headers["Authorization"] = f"Bearer {_token(place.token)}"
    path = parts.path or "/metrics"
    connection.request("GET", f"{path}?{parts.query}" if parts.query else path, headers=headers)
    with connection.getresponse() as response:
        return _body(response, largest)


def _body(response: http.client.HTTPResponse, largest: int) -> bytes:
    if response.status != OK:
        raise SourceError("status", f"HTTP status {response.status} {response.reason[:64]}, expected 200")
    chunks = iter(lambda: response.read1(CHUNK), b"")
    if response.getheader("Content-Encoding", "").strip().lower() == "gzip":
        chunks = _inflated(chunks)
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > largest:
            raise SourceError("too large", f"a page of more than {largest} bytes")
    if response.length:
        raise SourceError("connection", CUT)
    return bytes(body)


def _inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    inflate = zlib.decompressobj(GZIP)
    for chunk in chunks:
        data = chunk
        while data:
            if inflate.eof:
                inflate = zlib.decompressobj(GZIP)  # one may follow another
            yield inflate.decompress(data, CHUNK)
            data = inflate.unconsumed_tail or inflate.unused_data
    if not inflate.eof:
        raise SourceError("connection", CUT)
