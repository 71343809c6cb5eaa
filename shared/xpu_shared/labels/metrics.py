"""What becomes of node labels, for a metrics page."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from xpu_shared.labels.labeller import Labeller
from xpu_shared.program.exposition import Family, Kind, Sample

if TYPE_CHECKING:
    from prometheus_client import Metric

WRITES = Family("xpu_label_writes_total", Kind.COUNTER, "Times that node labels were written, by sink.")
FAILURES = Family("xpu_label_failures_total", Kind.COUNTER, "Attempts to write node labels that failed, by sink.")


def labeller_samples(labeller: Labeller) -> Iterator[Sample]:
    """May be called from any thread."""
    for sink in labeller.sinks:
        yield WRITES, {"sink": sink}, labeller.writes[sink]
        yield FAILURES, {"sink": sink}, labeller.failures[sink]


def labeller_metrics(labeller: Labeller) -> "Iterator[Metric]":
    """The same for a page with a registry."""
    from xpu_shared.program.registry import as_metrics  # noqa: PLC0415 - only pages with a registry pay for it

    return as_metrics(labeller_samples(labeller))
