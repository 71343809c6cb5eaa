"""Metrics that are rendered when there is news, not when somebody asks: a page of thousands of series."""

import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from xpu_shared.program.exposition import Series
from xpu_shared.program.pages import Page, metrics_page, registry_text

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

ASKED_FOR = 600.0  # seconds in which somebody must have asked for a form of the page for it to be made in advance

Form = tuple[bool, bool]  # OpenMetrics, compressed


class Prepared:
    """`render` is called wherever there is time for it, `page` by whoever serves."""

    def __init__(self, registry: "CollectorRegistry") -> None:
        self._registry = registry
        self._asked: dict[Form, float] = {}
        self._plain: dict[bool, Page]  # by whether it is OpenMetrics
        self._compressed: dict[bool, Page]
        self._changing = threading.Lock()
        self.render(Series())  # the program's own are there at once

    def render(self, series: Series) -> None:
        """Make the pages of these series and the registry's metrics."""
        plain = {openmetrics: self._page(series, openmetrics) for openmetrics in (False, True)}
        oldest = time.monotonic() - ASKED_FOR
        wanted = [openmetrics for openmetrics in plain if self._asked.get((openmetrics, True), 0.0) > oldest]
        compressed = {openmetrics: _compressed(plain[openmetrics]) for openmetrics in wanted}
        with self._changing:
            self._plain, self._compressed = plain, compressed

    def page(self, *, openmetrics: bool, compressed: bool) -> Page:
        self._asked[openmetrics, compressed] = time.monotonic()
        with self._changing:
            plain, ready = self._plain, self._compressed
        if not compressed:
            return plain[openmetrics]
        if openmetrics not in ready:  # the first one who asks for it
            ready[openmetrics] = _compressed(plain[openmetrics])
        return ready[openmetrics]

    def _page(self, series: Series, openmetrics: bool) -> Page:
        content_type, text = registry_text(self._registry, openmetrics=openmetrics)
        return HTTPStatus.OK, content_type, series.text(openmetrics=openmetrics).encode() + text


def _compressed(page: Page) -> Page:
    _, content_type, text = page
    return metrics_page(content_type, text, compressed=True)
