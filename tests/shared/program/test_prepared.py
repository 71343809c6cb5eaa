import gzip
from collections.abc import Iterator
from http import HTTPStatus

from xpu_shared.program.exposition import Family, Kind, Sample, Series
from xpu_shared.program.prepared import Prepared

DEMO = Family("demo_celsius", Kind.GAUGE, "A temperature.")
OWN = Family("own", Kind.GAUGE, "The program's own.")


class Counting:
    renders = 0

    def samples(self) -> Iterator[Sample]:
        self.renders += 1
        yield OWN, {}, 1


def prepared() -> tuple[Prepared, Counting]:
    counting = Counting()
    return Prepared(counting.samples), counting


def demo(value: float) -> Series:
    series = Series()
    series.add(DEMO, "", value)
    return series


def test_scrapes_get_what_was_rendered_last_and_render_nothing() -> None:
    pages, counting = prepared()
    pages.render(demo(1))
    pages.render(demo(2))
    renders = counting.renders

    for _ in range(10):
        status, content_type, body = pages.page(openmetrics=False, compressed=False)
    assert (status, b"demo_celsius 2\n" in body, b"own 1\n" in body) == (HTTPStatus.OK, True, True)
    assert "version=0.0.4" in content_type
    assert counting.renders == renders


def test_openmetrics_has_one_end_and_all_that_the_text_has() -> None:
    pages, _ = prepared()
    pages.render(demo(2))

    _, content_type, body = pages.page(openmetrics=True, compressed=False)
    assert "openmetrics" in content_type
    assert body.count(b"# EOF") == 1
    assert body.endswith(b"# EOF\n")
    assert b"demo_celsius 2\n" in body


def test_a_compressed_page_is_the_newest_one_too() -> None:
    pages, _ = prepared()
    for value in (1, 2, 3):
        pages.render(demo(value))
        for openmetrics in (False, True):
            _, _, body = pages.page(openmetrics=openmetrics, compressed=True)
            assert gzip.decompress(body) == pages.page(openmetrics=openmetrics, compressed=False)[2]


def test_before_anything_is_measured_the_page_has_what_is_the_programs_own() -> None:
    status, _, body = prepared()[0].page(openmetrics=False, compressed=False)

    assert status == HTTPStatus.OK
    assert b"own 1\n" in body
