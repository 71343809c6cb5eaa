"""The metrics page: what GPUs measure, who holds them, how the collector fares. Imported only with an address."""

import asyncio
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from xpu_shared.labels.labeller import Labeller
from xpu_shared.labels.metrics import labeller_metrics
from xpu_shared.program.every_page import alive, build_info
from xpu_shared.program.prepared import Prepared
from xpu_shared.program.web import serve_metrics
from xpu_shared.telemetry.metrics import publisher_metrics
from xpu_shared.telemetry.publisher import Publisher
from xpu_shared.telemetry.readings import DeviceSnapshot
from xpu_sidecars.level_zero.attributing import Attributing, Held
from xpu_sidecars.level_zero.page import MetricsPage
from xpu_sidecars.level_zero.published import STARTING, Published
from xpu_sidecars.level_zero.settings import SidecarSettings
from xpu_sidecars.level_zero.supervisor import Supervisor


class Observation:
    """The page and what it is made of. Made on the event loop."""

    def __init__(
        self,
        settings: SidecarSettings,
        published: Published,
        supervisor: Supervisor,
        publisher: Publisher,
        labeller: Labeller | None,
        *,
        program: str,
    ) -> None:
        registry = CollectorRegistry()
        registry.register(SidecarCollector(published, supervisor, publisher, labeller, program=program))
        prepared = Prepared(registry)
        self._attributing = (
            Attributing(settings.kubelet_dir, on_change=self._pods_changed) if settings.pod_attribution else None
        )
        self._page = MetricsPage(
            prepared,
            self._attributing.held if self._attributing else Held,
            sysfs=settings.sysfs_root,
            resource_namespace=settings.resource_namespace,
            interval=settings.sampling_interval,
        )
        loop = asyncio.get_running_loop()
        assert settings.metrics_address is not None
        self._server = serve_metrics(
            settings.metrics_address,
            prepared,
            healthy=lambda: alive(loop),
            ready=lambda: readiness(published, publisher.trouble),
        )

    def take(self, snapshot: DeviceSnapshot) -> None:
        """Show this from now on."""
        self._page.take(snapshot)

    async def run(self) -> None:
        """Keep the page until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._page.run())
                if self._attributing:
                    tasks.create_task(self._attributing.run())
        finally:
            self._server.close()

    def _pods_changed(self) -> None:
        self._page.pods_changed()


def readiness(published: Published, obstacle: str) -> tuple[bool, str]:
    """Ready: something is published, be it that there is nothing to read and why."""
    if obstacle or published.unavailable == STARTING:
        return False, obstacle or STARTING
    return True, f"unavailable: {published.unavailable}" if published.unavailable else "ok"


class SidecarCollector(Collector):
    """Turns the collector's state into metrics, from the thread that renders the page."""

    def __init__(
        self,
        published: Published,
        supervisor: Supervisor,
        publisher: Publisher,
        labeller: Labeller | None,
        *,
        program: str,
    ) -> None:
        self._published = published
        self._labeller = labeller
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
        if self._labeller is not None:
            yield from labeller_metrics(self._labeller)
        yield from publisher_metrics(self._publisher.counters)

    def _devices(self) -> Metric:
        metric = GaugeMetricFamily("xpu_collector_devices", "GPUs by how they are sampled.", labels=("state",))
        known, alone = set(self._published.readings) - set(self._published.gone), set(self._published.left_alone)
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
        gone = set(self._published.gone)
        for (address, group), count in dict(self._published.counts).items():
            if address in gone:
                continue
            failed.add_metric((address, group), count.failed_calls)
            dropped.add_metric((address, group), count.dropped_samples)
        yield from (failed, dropped)
