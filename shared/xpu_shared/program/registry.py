"""Samples as prometheus-client's metrics, for pages that have a registry. Imported only there."""

from collections.abc import Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from xpu_shared.program.exposition import Family, Kind, Sample


def as_metrics(samples: Iterable[Sample]) -> Iterator[Metric]:
    """Samples of one family have the same labels."""
    by_family: dict[Family, list[Sample]] = {}
    for sample in samples:
        by_family.setdefault(sample[0], []).append(sample)
    for family, found in by_family.items():
        names = tuple(found[0][1])
        metric: CounterMetricFamily | GaugeMetricFamily
        if family.kind is Kind.COUNTER:
            metric = CounterMetricFamily(family.name.removesuffix("_total"), family.help, labels=names)
        else:
            metric = GaugeMetricFamily(family.name, family.help, labels=names)
        for _, labels, value in found:
            metric.add_metric([str(labels[name]) for name in names], value)
        yield metric
