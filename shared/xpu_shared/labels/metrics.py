"""What becomes of node labels, as metrics. Imported only where there is a page."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily

from xpu_shared.labels.labeller import Labeller


def labeller_metrics(labeller: Labeller) -> Iterator[Metric]:
    """May be called from any thread."""
    writes = CounterMetricFamily("xpu_label_writes", "Times that node labels were written, by sink.", labels=("sink",))
    failures = CounterMetricFamily("xpu_label_failures", "Attempts to write them that failed.", labels=("sink",))
    for sink in labeller.sinks:
        writes.add_metric((sink,), labeller.writes[sink])
        failures.add_metric((sink,), labeller.failures[sink])
    yield from (writes, failures)
