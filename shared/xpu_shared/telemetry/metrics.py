"""Telemetry's counters as metrics, for whatever page a program has. Imported only where there is one."""

from collections.abc import Iterator, Mapping

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from xpu_shared.program.registry import as_metrics
from xpu_shared.telemetry.counters import PublisherCounters, SubscriberCounters
from xpu_shared.telemetry.samples import publisher_samples


def subscriber_metrics(subscribers: Mapping[str, SubscriberCounters]) -> Iterator[Metric]:
    """What has been received, by endpoint. May be called from any thread."""
    messages = CounterMetricFamily("xpu_telemetry_received", "Messages that were taken.", labels=("endpoint",))
    received = CounterMetricFamily("xpu_telemetry_received_bytes", "Bytes of them.", labels=("endpoint",))
    dropped = CounterMetricFamily(
        "xpu_telemetry_dropped", "Messages that could not be used, by reason.", labels=("endpoint", "reason")
    )
    values = CounterMetricFamily(
        "xpu_telemetry_values_dropped",
        "Values in messages that could not be used, by reason.",
        labels=("endpoint", "reason"),
    )
    connected = GaugeMetricFamily("xpu_telemetry_connected", "1 while a sidecar is connected.", labels=("endpoint",))
    connections = CounterMetricFamily("xpu_telemetry_connections", "Connections made.", labels=("endpoint",))
    handshakes = CounterMetricFamily(
        "xpu_telemetry_handshake_failures", "Connections that failed because of keys.", labels=("endpoint",)
    )
    restarts = CounterMetricFamily("xpu_telemetry_restarts", "Restarts of the publisher.", labels=("endpoint",))
    newest = GaugeMetricFamily(
        "xpu_telemetry_snapshot_timestamp_seconds", "Unix time of the newest snapshot.", labels=("endpoint",)
    )
    for endpoint, counters in subscribers.items():
        messages.add_metric((endpoint,), counters.messages)
        received.add_metric((endpoint,), counters.bytes)
        connected.add_metric((endpoint,), counters.connected)
        connections.add_metric((endpoint,), counters.connections)
        handshakes.add_metric((endpoint,), counters.handshake_failures)
        restarts.add_metric((endpoint,), counters.restarts)
        if counters.newest:
            newest.add_metric((endpoint,), counters.newest)
        for reason, count in dict(counters.dropped).items():
            dropped.add_metric((endpoint, reason), count)
        for reason, count in dict(counters.values_dropped).items():
            values.add_metric((endpoint, reason), count)
    yield from (messages, received, dropped, values, connected, connections, handshakes, restarts, newest)


def publisher_metrics(counters: PublisherCounters) -> Iterator[Metric]:
    """What has been published. May be called from any thread."""
    return as_metrics(publisher_samples(counters))
