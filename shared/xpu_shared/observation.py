"""The metrics page and the health checks of running plugins. Imported only when an address is given."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from xpu_shared.counters import BOUNDS, Durations, EventCounters, ResourceCounters
from xpu_shared.device import Health
from xpu_shared.family import Family
from xpu_shared.measuring import Measuring
from xpu_shared.plugin import ExportsMetrics, Measures
from xpu_shared.program.every_page import alive, build_info
from xpu_shared.program.options import ListenAddress
from xpu_shared.program.web import serve as serve_page

if TYPE_CHECKING:
    from xpu_shared.node_events import NodeEvents


def serve(
    address: ListenAddress,
    families: Sequence[Family],
    events: EventCounters,
    node_events: "NodeEvents | None",
    *,
    program: str,
) -> Callable[[], None]:
    """Serve metrics, health and readiness of the families; returns what ends it. Called on the event loop."""
    registry = CollectorRegistry()
    registry.register(FrameworkCollector(families, events, node_events, program=program))
    loop = asyncio.get_running_loop()
    page = serve_page(address, registry, healthy=lambda: alive(loop), ready=lambda: readiness(families))
    return page.close


def readiness(families: Sequence[Family]) -> tuple[bool, str]:
    """Ready: every plugin has scanned, if there is anything to scan, and the kubelet listens to every resource."""
    waiting = [
        f"{family.plugin.namespace} has not scanned yet"
        for family in families
        if not family.scans.last_success and not family.scans.nothing_there
    ]
    waiting += [f"the kubelet does not listen to {resource}" for family in families for resource in family.unregistered]
    return not waiting, "; ".join(waiting) or "ok"


class FrameworkCollector(Collector):
    """Turns the framework's counters into metrics, from the page's thread."""

    def __init__(
        self,
        families: Sequence[Family],
        events: EventCounters,
        node_events: "NodeEvents | None" = None,
        *,
        program: str,
    ) -> None:
        self._families = families
        self._node_events = node_events
        self._events = events
        self._program = program
        self._measuring = [
            Measuring(family.plugin, family.plugin.namespace)
            for family in families
            if isinstance(family.plugin, Measures)
        ]

    def collect(self) -> Iterator[Metric]:
        yield build_info(self._program)
        yield self._devices()
        yield self._device_health()
        yield from self._resources()
        yield from self._calls()
        yield from self._scans()
        for family in self._families:
            if isinstance(family.plugin, ExportsMetrics):
                yield from family.plugin.metrics()
        yield from self._kernel_events()
        if self._node_events is not None:
            yield from _node_events(self._node_events)
        yield from self._hardware()

    def _devices(self) -> Metric:
        metric = GaugeMetricFamily("xpu_devices", "Devices listed at the kubelet.", labels=("resource", "health"))
        for family in self._families:
            for device_type in family.inventory.device_types:
                devices = family.inventory.snapshot(device_type).devices.values()
                for health in Health:
                    count = sum(device.health is health for device in devices)
                    metric.add_metric((f"{family.plugin.namespace}/{device_type}", health), count)
        return metric

    def _device_health(self) -> Metric:
        metric = GaugeMetricFamily(
            "xpu_device_health",
            "1: the device is healthy; 0: it is not. One series for each reason, also for `unknown`.",
            labels=("resource", "device", "reason"),
        )
        for family in self._families:
            for device_type in family.inventory.device_types:
                resource = f"{family.plugin.namespace}/{device_type}"
                for device in family.inventory.snapshot(device_type).devices.values():
                    for reason in device.conditions or ("",):
                        metric.add_metric((resource, device.id, reason), device.health is Health.HEALTHY)
        return metric

    def _resources(self) -> Iterator[Metric]:
        sent = CounterMetricFamily("xpu_lists_sent", "Device lists sent to the kubelet.", labels=("resource",))
        refused = CounterMetricFamily("xpu_lists_refused", "Device lists too large to be sent.", labels=("resource",))
        streams = GaugeMetricFamily("xpu_list_streams", "ListAndWatch streams open now.", labels=("resource",))
        registered = GaugeMetricFamily(
            "xpu_registered", "1 after the kubelet took the registration.", labels=("resource",)
        )
        registrations = CounterMetricFamily(
            "xpu_registrations",
            "Registrations that the kubelet took, by what caused them.",
            labels=("resource", "cause"),
        )
        failures = CounterMetricFamily(
            "xpu_registration_failures", "Registrations that failed and are tried again.", labels=("resource",)
        )
        for resource, counters in self._counters():
            sent.add_metric((resource,), counters.lists_sent)
            refused.add_metric((resource,), counters.lists_refused)
            streams.add_metric((resource,), counters.streams_open)
            registered.add_metric((resource,), counters.registered)
            failures.add_metric((resource,), counters.registration_failures)
            for cause, count in dict(counters.registrations).items():
                registrations.add_metric((resource, cause), count)
        yield from (sent, refused, streams, registered, registrations, failures)

    def _calls(self) -> Iterator[Metric]:
        calls = CounterMetricFamily(
            "xpu_calls", "Calls of the kubelet, by gRPC status.", labels=("resource", "method", "code")
        )
        seconds = HistogramMetricFamily(
            "xpu_call_duration_seconds", "Time to answer the kubelet's calls.", labels=("resource", "method")
        )
        for resource, counters in self._counters():
            for (method, code), count in dict(counters.calls).items():
                calls.add_metric((resource, method, code), count)
            for method, durations in dict(counters.durations).items():
                seconds.add_metric((resource, method), buckets(durations), durations.total)
        yield from (calls, seconds)

    def _scans(self) -> Iterator[Metric]:
        seconds = HistogramMetricFamily("xpu_scan_duration_seconds", "Time of a successful scan.", labels=("plugin",))
        errors = CounterMetricFamily("xpu_scan_errors", "Scans that could see nothing at all.", labels=("plugin",))
        success = GaugeMetricFamily(
            "xpu_scan_last_success_timestamp_seconds", "Unix time of the last successful scan.", labels=("plugin",)
        )
        problems = GaugeMetricFamily(
            "xpu_scan_problems", "Devices or files that the last scan had trouble with.", labels=("plugin",)
        )
        cdi_errors = CounterMetricFamily("xpu_cdi_errors", "CDI files that could not be kept.", labels=("plugin",))
        for family in self._families:
            labels = (family.plugin.namespace,)
            seconds.add_metric(labels, buckets(family.scans.durations), family.scans.durations.total)
            errors.add_metric(labels, family.scans.errors)
            problems.add_metric(labels, family.scans.problems)
            cdi_errors.add_metric(labels, family.scans.cdi_errors)
            if family.scans.last_success:
                success.add_metric(labels, family.scans.last_success)
        yield from (seconds, errors, success, problems, cdi_errors)

    def _kernel_events(self) -> Iterator[Metric]:
        received = CounterMetricFamily("xpu_uevents", "Kernel events received, by source.", labels=("source",))
        for source, count in dict(self._events.received).items():
            received.add_metric((source,), count)
        dropped = CounterMetricFamily("xpu_uevents_dropped", "Kernel events lost or not usable.", labels=("reason",))
        for reason, count in dict(self._events.dropped).items():
            dropped.add_metric((reason,), count)
        yield from (received, dropped)

    def _hardware(self) -> Iterator[Metric]:
        """What plugins measure; a metric that several have is one."""
        metrics: dict[str, GaugeMetricFamily] = {}
        for gauge in (gauge for measuring in self._measuring for gauge in measuring.gauges()):
            metric = metrics.setdefault(gauge.name, GaugeMetricFamily(gauge.name, gauge.help, labels=gauge.labels))
            for values, number in gauge.samples:
                metric.add_metric(values, number)
        yield from metrics.values()

    def _counters(self) -> Iterator[tuple[str, ResourceCounters]]:
        for family in self._families:
            for device_type, counters in dict(family.resources).items():
                yield f"{family.plugin.namespace}/{device_type}", counters


def _node_events(events: "NodeEvents") -> Iterator[Metric]:
    yield CounterMetricFamily("xpu_node_events", "Kubernetes Events written on the node.", value=events.written)
    yield CounterMetricFamily("xpu_node_event_failures", "Attempts that failed.", value=events.failures)
    yield CounterMetricFamily("xpu_node_events_dropped", "Events that were given up.", value=events.dropped)


def buckets(durations: Durations) -> list[tuple[str, float]]:
    """Cumulative histogram buckets, as the text format wants them."""
    bounds = [f"{bound:g}" for bound in BOUNDS] + ["+Inf"]
    return [(bound, float(count)) for bound, count in zip(bounds, accumulate(durations.counts), strict=True)]
