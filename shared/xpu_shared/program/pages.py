"""The pages of a program: metrics as text, health and readiness. HTTP is in `web.py`."""

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from xpu_shared.program.logs import Log

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

FRESH = 1.0  # seconds that a rendered page is good for: a flood of scrapes renders once a second
OPENMETRICS = "application/openmetrics-text"
PLAIN = "text/plain; charset=utf-8"

Check = Callable[[], tuple[bool, str]]
Page = tuple[HTTPStatus, str, bytes]  # with its content type

log = Log("web")


class Metrics(Protocol):
    """What has the metrics as text. Asked from any thread."""

    def page(self, *, openmetrics: bool, compressed: bool) -> Page: ...


class Pages:
    """What is served: the metrics and the two checks."""

    def __init__(self, metrics: Metrics, *, healthy: Check, ready: Check) -> None:
        self._checks = {"/healthz": healthy, "/readyz": ready}
        self._metrics = metrics
        self._trouble: dict[str, str] = {}  # by path, so that it is spoken of once

    def has(self, path: str) -> bool:
        return path == "/metrics" or path in self._checks

    def page(self, path: str, *, openmetrics: bool, compressed: bool) -> Page:
        """One of the pages; an error in making it is its content."""
        try:
            if path == "/metrics":
                page = self._metrics.page(openmetrics=openmetrics, compressed=compressed)
            else:
                page = self._check(path)
        except Exception as error:  # noqa: BLE001 - collectors and checks are anybody's
            if self._trouble.get(path) != repr(error):
                log.error("cannot make a page", path=path, error=repr(error))
            self._trouble[path] = repr(error)
            return HTTPStatus.INTERNAL_SERVER_ERROR, PLAIN, b"this page failed, the log says why\n"
        self._trouble.pop(path, None)
        return page

    def _check(self, path: str) -> Page:
        good, text = self._checks[path]()
        status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
        return status, PLAIN, f"{text}\n".encode(errors="backslashreplace")


class RenderedWhenAsked:
    """The metrics of a registry, rendered at most once a second."""

    def __init__(self, registry: "CollectorRegistry") -> None:
        self._registry = registry
        self._rendered: dict[tuple[bool, bool], tuple[float, Page]] = {}
        self._rendering = threading.Lock()

    def page(self, *, openmetrics: bool, compressed: bool) -> Page:
        with self._rendering:
            rendered_at, page = self._rendered.get((openmetrics, compressed), (float("-inf"), None))
            if page is None or time.monotonic() - rendered_at >= FRESH:
                page = self._render(openmetrics, compressed)
                self._rendered[openmetrics, compressed] = time.monotonic(), page
        return page

    def _render(self, openmetrics: bool, compressed: bool) -> Page:
        content_type, text = registry_text(self._registry, openmetrics=openmetrics)
        return metrics_page(content_type, text, compressed=compressed)


def registry_text(registry: "CollectorRegistry", *, openmetrics: bool) -> tuple[str, bytes]:
    """Content type and text of a registry's metrics."""
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415 - only programs with metrics pay for it

    # The client's own words do not come here: it could name a new version with each request, to be rendered anew.
    encode, content_type = choose_encoder(OPENMETRICS if openmetrics else "")
    return content_type, encode(registry)


def metrics_page(content_type: str, text: bytes, *, compressed: bool) -> Page:
    if not compressed:
        return HTTPStatus.OK, content_type, text
    import gzip  # noqa: PLC0415 - only for clients that ask for it

    return HTTPStatus.OK, content_type, gzip.compress(text, 1)
