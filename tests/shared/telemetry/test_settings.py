"""Options of telemetry, the metrics of its counters, and what is not imported where it is off."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

from xpu_shared.program.flags import UsageError
from xpu_shared.program.settings import PluginSettings, load
from xpu_shared.telemetry.bounds import Limits
from xpu_shared.telemetry.counters import PublisherCounters, SubscriberCounters
from xpu_shared.telemetry.metrics import publisher_metrics, subscriber_metrics
from xpu_shared.telemetry.settings import PublisherSettings, SubscriberSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class BothSides(PluginSettings, SubscriberSettings, PublisherSettings):
    def __post_init__(self) -> None:
        self.check_telemetry()
        self.check_publish()


def settings(*arguments: str) -> BothSides:
    return load(BothSides, arguments, program="test", description="A test.").settings


def test_defaults() -> None:
    assert settings().telemetry_limits == Limits(largest=4 * 1024 * 1024, max_skew=300.0)
    assert (settings().telemetry, settings().publish) == ((), ())


def test_endpoints_keys_and_limits(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(
        "telemetry: [ipc:///run/xpu/level-zero.sock, 'tcp://10.0.0.7:5556']\n"
        "telemetry-secret-key: /keys/secret\ntelemetry-server-key: /keys/server\ntelemetry-max-skew: 10s\n"
    )
    chosen = settings(f"--config={config}", "--telemetry-max-bytes=65536", "--publish=ipc:///run/xpu/x.sock")

    assert chosen.telemetry == ("ipc:///run/xpu/level-zero.sock", "tcp://10.0.0.7:5556")
    assert (chosen.telemetry_secret_key, chosen.telemetry_server_key) == (Path("/keys/secret"), Path("/keys/server"))
    assert chosen.telemetry_limits == Limits(largest=65536, max_skew=10.0)
    assert chosen.publish == ("ipc:///run/xpu/x.sock",)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--telemetry=tcp://[::1]:5556"], "--telemetry-secret-key and --telemetry-server-key must be given"),
        (["--telemetry=tcp://[::1]:5556", "--telemetry-secret-key=/x"], "keys, --telemetry-server-key must be given"),
        (["--publish=tcp://[::]:5556"], "--publish-secret-key and --publish-allowed-keys must be given"),
        (["--publish=tcp://[::]:5556", "--publish-allowed-keys=/x"], "keys, --publish-secret-key must be given"),
        (["--telemetry=udp://x:1"], "expected ipc:// with an absolute path"),
        (["--publish=ipc://@abstract"], "expected ipc:// with an absolute path"),
        (["--publish=ipc://relative"], "expected ipc:// with an absolute path"),
        ([f"--publish=ipc:///{'x' * 107}"], "at most 107 bytes"),
        (["--telemetry-max-bytes=10"], "an integer from 1024 to"),
    ],
)
def test_what_cannot_be_used_is_named(arguments: list[str], reason: str) -> None:
    with pytest.raises(UsageError) as raised:
        settings(*arguments)

    assert reason in str(raised.value)


class Page(Collector):
    def __init__(self, *metrics: Metric) -> None:
        self._metrics = metrics

    def collect(self) -> tuple[Metric, ...]:
        return self._metrics


def page(*metrics: Metric) -> list[str]:
    registry = CollectorRegistry()
    registry.register(Page(*metrics))
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_metrics_of_a_subscriber() -> None:
    counters = SubscriberCounters(messages=3, bytes=300, connected=True, connections=2, newest=1_790_000_000.5)
    counters.dropped["stale"] += 4
    counters.values_dropped["implausible value"] += 5

    assert page(*subscriber_metrics({("ipc:///x", "devices"): counters})) == [
        'xpu_telemetry_received_total{endpoint="ipc:///x",topic="devices"} 3.0',
        'xpu_telemetry_received_bytes_total{endpoint="ipc:///x",topic="devices"} 300.0',
        'xpu_telemetry_dropped_total{endpoint="ipc:///x",reason="stale",topic="devices"} 4.0',
        'xpu_telemetry_values_dropped_total{endpoint="ipc:///x",reason="implausible value",topic="devices"} 5.0',
        'xpu_telemetry_connected{endpoint="ipc:///x",topic="devices"} 1.0',
        'xpu_telemetry_connections_total{endpoint="ipc:///x",topic="devices"} 2.0',
        'xpu_telemetry_handshake_failures_total{endpoint="ipc:///x",topic="devices"} 0.0',
        'xpu_telemetry_restarts_total{endpoint="ipc:///x",topic="devices"} 0.0',
        'xpu_telemetry_snapshot_timestamp_seconds{endpoint="ipc:///x",topic="devices"} 1.7900000005e+09',
    ]


def test_metrics_of_a_publisher_that_has_published_nothing_yet() -> None:
    assert page(*publisher_metrics(PublisherCounters())) == [
        "xpu_telemetry_published_total 0.0",
        "xpu_telemetry_published_bytes_total 0.0",
        "xpu_telemetry_repeats_total 0.0",
        "xpu_telemetry_subscriptions 0.0",
        "xpu_telemetry_refused_keys_total 0.0",
    ]


def test_a_plugin_without_telemetry_imports_no_zeromq() -> None:
    script = (
        "import sys, xpu_plugins.gpu.plugin, xpu_plugins.gpu.settings, xpu_shared.runner, xpu_shared.observation\n"
        "print('zmq' in sys.modules, 'xpu_wire.telemetry_pb2' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert result.stdout == "False False\n"
