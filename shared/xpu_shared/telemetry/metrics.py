"""Telemetry's counters as metrics, for whatever page a program has. Imported only where there is one."""

from collections.abc import Iterator, Mapping

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from xpu_shared.program.registry import as_metrics
from xpu_shared.telemetry.counters import PublisherCounters, SubscriberCounters
from xpu_shared.telemetry.samples import publisher_samples

LABELS = ("endpoint", "topic")


def subscriber_metrics(subscribers: Mapping[tuple[str, str], SubscriberCounters]) -> Iterator[Metric]:
    """What has been received, by endpoint and topic. May be called from any thread."""
    messages = CounterMetricFamily("xpu_telemetry_received", "Messages that were taken.", labels=LABELS)
    received = CounterMetricFamily("xpu_telemetry_received_bytes", "Bytes of them.", labels=LABELS)
    dropped = CounterMetricFamily(
        "xpu_telemetry_dropped", "Messages that could not be used, by reason.", labels=(*LABELS, "reason")
    )
    values = CounterMetricFamily(
        "xpu_telemetry_values_dropped",
        "Values in messages that could not be used, by reason.",
        labels=(*LABELS, "reason"),
    )
    connected = GaugeMetricFamily("xpu_telemetry_connected", "1 while a sidecar is connected.", labels=LABELS)
    connections = CounterMetricFamily("xpu_telemetry_connections", "Connections made.", labels=LABELS)
    handshakes = CounterMetricFamily(
        "xpu_telemetry_handshake_failures", "Connections that failed because of keys.", labels=LABELS
    )
    restarts = CounterMetricFamily("xpu_telemetry_restarts", "Restarts of the publisher.", labels=LABELS)
    newest = GaugeMetricFamily(
        "xpu_telemetry_snapshot_timestamp_seconds", "Unix time of the newest snapshot.", labels=LABELS
    )
    for labels, counters in subscribers.items():
        messages.add_metric(labels, counters.messages)
        received.add_metric(labels, counters.bytes)
        connected.add_metric(labels, counters.connected)
        connections.add_metric(labels, counters.connections)
        handshakes.add_metric(labels, counters.handshake_failures)
        restarts.add_metric(labels, counters.restarts)
        if counters.newest:
            newest.add_metric(labels, counters.newest)
        for reason, count in dict(counters.dropped).items():
            dropped.add_metric((*labels, reason), count)
        for reason, count in dict(counters.values_dropped).items():
            values.add_metric((*labels, reason), count)
    yield from (messages, received, dropped, values, connected, connections, handshakes, restarts, newest)


def publisher_metrics(counters: PublisherCounters) -> Iterator[Metric]:
    """What has been published. May be called from any thread."""
    return as_metrics(publisher_samples(counters))
