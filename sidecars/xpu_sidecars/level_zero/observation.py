"""The sidecar's own page: how the collector fares. Imported only when an address is given."""

import asyncio
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from xpu_shared.program.every_page import alive, build_info
from xpu_shared.program.options import ListenAddress
from xpu_shared.program.web import serve as serve_page
from xpu_shared.telemetry.metrics import publisher_metrics
from xpu_shared.telemetry.publisher import Publisher
from xpu_sidecars.level_zero.published import STARTING, Published
from xpu_sidecars.level_zero.supervisor import Supervisor


def serve(
    address: ListenAddress, published: Published, supervisor: Supervisor, publisher: Publisher, *, program: str
) -> Callable[[], None]:
    """Serve the page; returns what ends it. Called on the event loop."""
    registry = CollectorRegistry()
    registry.register(SidecarCollector(published, supervisor, publisher, program=program))
    loop = asyncio.get_running_loop()
    page = serve_page(
        address, registry, healthy=lambda: alive(loop), ready=lambda: readiness(published, publisher.trouble)
    )
    return page.close


def readiness(published: Published, obstacle: str) -> tuple[bool, str]:
    """Ready: something is published, be it that there is nothing to read and why."""
    if obstacle or published.unavailable == STARTING:
        return False, obstacle or STARTING
    return True, f"unavailable: {published.unavailable}" if published.unavailable else "ok"


class SidecarCollector(Collector):
    """Turns the collector's state into metrics, from the page's thread."""

    def __init__(self, published: Published, supervisor: Supervisor, publisher: Publisher, *, program: str) -> None:
        self._published = published
        self._supervisor = supervisor
        self._publisher = publisher
        self._program = program

    def collect(self) -> Iterator[Metric]:
        published, supervisor = self._published, self._supervisor
        yield build_info(self._program)
        yield GaugeMetricFamily("xpu_source_up", "1 while the library is read.", value=not published.unavailable)
        yield CounterMetricFamily("xpu_collector_starts", "Collector processes started.", value=supervisor.starts)
        yield CounterMetricFamily(
            "xpu_collector_failures", "Collector processes that crashed or hung.", value=supervisor.crashes
        )
        yield GaugeMetricFamily(
            "xpu_collector_abandoned", "Collector processes that cannot be killed.", value=len(supervisor.abandoned)
        )
        yield self._devices()
        yield from self._counts()
        yield from publisher_metrics(self._publisher.counters)

    def _devices(self) -> Metric:
        metric = GaugeMetricFamily("xpu_collector_devices", "GPUs by how they are sampled.", labels=("state",))
        known, alone = set(self._published.readings), set(self._published.left_alone)
        hanging = set(self._published.hanging) - alone
        metric.add_metric(("sampled",), len(known - hanging - alone))
        metric.add_metric(("hanging",), len(hanging))
        metric.add_metric(("left_alone",), len(alone))
        return metric

    def _counts(self) -> Iterator[Metric]:
        labels = ("pci_bdf", "group")
        failed = CounterMetricFamily(
            "xpu_collector_failed_calls", "Calls into the library that failed, since it was opened.", labels=labels
        )
        dropped = CounterMetricFamily(
            "xpu_collector_dropped_samples", "Values that cannot be, and counters that were reset.", labels=labels
        )
        for (address, group), count in dict(self._published.counts).items():
            failed.add_metric((address, group), count.failed_calls)
            dropped.add_metric((address, group), count.dropped_samples)
        yield from (failed, dropped)
