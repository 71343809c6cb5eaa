"""What a publisher counts, for a metrics page."""

from collections.abc import Iterator

from xpu_shared.program.exposition import Family, Kind, Sample
from xpu_shared.telemetry.counters import PublisherCounters

COUNTER, GAUGE = Kind.COUNTER, Kind.GAUGE
PUBLISHED = Family("xpu_telemetry_published_total", COUNTER, "Snapshots published.")
BYTES = Family("xpu_telemetry_published_bytes_total", COUNTER, "Bytes of them.")
REPEATS = Family("xpu_telemetry_repeats_total", COUNTER, "Times that the newest snapshot was sent again for newcomers.")
SUBSCRIPTIONS = Family("xpu_telemetry_subscriptions", GAUGE, "Subscriptions now.")
REFUSED = Family("xpu_telemetry_refused_keys_total", COUNTER, "Clients whose key is not in the list.")
FAILURES = Family("xpu_telemetry_publish_failures_total", COUNTER, "Snapshots that ZeroMQ did not take, by reason.")
NEWEST = Family("xpu_telemetry_snapshot_timestamp_seconds", GAUGE, "Unix time of the newest snapshot.")


def publisher_samples(counters: PublisherCounters) -> Iterator[Sample]:
    """May be called from any thread."""
    yield PUBLISHED, {}, counters.messages
    yield BYTES, {}, counters.bytes
    yield REPEATS, {}, counters.repeats
    yield SUBSCRIPTIONS, {}, counters.subscriptions
    yield REFUSED, {}, counters.refused_keys
    for reason, count in dict(counters.failures).items():
        yield FAILURES, {"reason": reason}, count
    if counters.newest:
        yield NEWEST, {}, counters.newest
