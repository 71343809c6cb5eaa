"""Metrics that are rendered when there is news, not when somebody asks: a page of thousands of series."""

import threading
import time
from collections.abc import Callable, Iterable

from xpu_shared.program.exposition import Sample, Series, content_type
from xpu_shared.program.pages import Page, metrics_page

ASKED_FOR = 600.0  # seconds in which somebody must have asked for a form of the page for it to be made in advance

Form = tuple[bool, bool]  # OpenMetrics, compressed


class Prepared:
    """`render` is called wherever there is time for it, `page` by whoever serves.

    Args:
        own: what the program says of itself, asked at each rendering.
    """

    def __init__(self, own: Callable[[], Iterable[Sample]]) -> None:
        self._own = own
        self._asked: dict[Form, float] = {}
        self._plain: dict[bool, Page]  # by whether it is OpenMetrics
        self._compressed: dict[bool, Page]
        self._changing = threading.Lock()
        self.render(Series())  # the program's own are there at once

    def render(self, series: Series) -> None:
        """Make the pages of these series, to which the program's own are added."""
        series.extend(self._own())
        plain = {openmetrics: _plain(series, openmetrics) for openmetrics in (False, True)}
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


def _plain(series: Series, openmetrics: bool) -> Page:
    text = series.text(openmetrics=openmetrics).encode()
    return metrics_page(content_type(openmetrics=openmetrics), text, compressed=False)


def _compressed(page: Page) -> Page:
    _, kind, text = page
    return metrics_page(kind, text, compressed=True)
