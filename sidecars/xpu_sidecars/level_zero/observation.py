"""The metrics page: what GPUs measure, who holds them, how the collector fares. Imported only with an address."""

import asyncio
from collections.abc import Iterator
from functools import partial

from xpu_shared.labels.labeller import Labeller
from xpu_shared.labels.metrics import labeller_samples
from xpu_shared.program.every_page import alive, build_sample
from xpu_shared.program.exposition import Family, Kind, Sample
from xpu_shared.program.prepared import Prepared
from xpu_shared.program.web import serve_metrics
from xpu_shared.telemetry.publisher import Publisher
from xpu_shared.telemetry.readings import DeviceSnapshot
from xpu_shared.telemetry.samples import publisher_samples
from xpu_sidecars.level_zero.attributing import Attributing, Held
from xpu_sidecars.level_zero.page import MetricsPage
from xpu_sidecars.level_zero.published import STARTING, Published
from xpu_sidecars.level_zero.settings import SidecarSettings
from xpu_sidecars.level_zero.supervisor import Supervisor

COUNTER, GAUGE = Kind.COUNTER, Kind.GAUGE
SOURCE_UP = Family("xpu_source_up", GAUGE, "1 while the library is read.")
STARTS = Family("xpu_collector_starts_total", COUNTER, "Collector processes started.")
FAILURES = Family("xpu_collector_failures_total", COUNTER, "Collector processes that crashed or hung.")
ABANDONED = Family("xpu_collector_abandoned", GAUGE, "Collector processes that cannot be killed.")
DEVICES = Family("xpu_collector_devices", GAUGE, "GPUs by how they are sampled.")
FAILED_CALLS = Family(
    "xpu_collector_failed_calls_total", COUNTER, "Calls into the library that failed, since it was opened."
)
DROPPED_SAMPLES = Family(
    "xpu_collector_dropped_samples_total", COUNTER, "Values that cannot be, and counters that were reset."
)


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
        prepared = Prepared(partial(own_samples, published, supervisor, publisher, labeller, program=program))
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


def own_samples(
    published: Published, supervisor: Supervisor, publisher: Publisher, labeller: Labeller | None, *, program: str
) -> Iterator[Sample]:
    """What the sidecar says of itself, from the thread that renders the page."""
    yield build_sample(program)
    yield SOURCE_UP, {}, not published.unavailable
    yield STARTS, {}, supervisor.starts
    yield FAILURES, {}, supervisor.crashes
    yield ABANDONED, {}, len(supervisor.abandoned)
    yield from _devices(published)
    yield from _counts(published)
    if labeller is not None:
        yield from labeller_samples(labeller)
    yield from publisher_samples(publisher.counters)


def _devices(published: Published) -> Iterator[Sample]:
    gone = published.gone
    known, alone = set(published.readings) - gone, published.left_alone - gone
    hanging = published.hanging - alone - gone
    yield DEVICES, {"state": "sampled"}, len(known - hanging - alone)
    yield DEVICES, {"state": "hanging"}, len(hanging)
    yield DEVICES, {"state": "left_alone"}, len(alone)


def _counts(published: Published) -> Iterator[Sample]:
    for (address, group), count in published.counts.items():  # which is never changed, but replaced
        if address not in published.gone:
            labels = {"pci_bdf": address, "group": group}
            yield FAILED_CALLS, labels, count.failed_calls
            yield DROPPED_SAMPLES, labels, count.dropped_samples
