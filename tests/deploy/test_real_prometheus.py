"""A real Prometheus scrapes the simulated node, and what the dashboard asks for is there."""

import asyncio
import json
import shutil
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.monitoring import RULES, panel_queries, rule_queries
from monitored_node import MonitoredNode, free_port, monitored_node
from xpu_simulator.level_zero.faults import Fault

PROMETHEUS = shutil.which("prometheus")
VARIABLES = {"instance": ".*", "gpu": ".*", "namespace": ".*", "pod": ".*", "__rate_interval": "10s"}
NOT_NOW = {"XpuGpuThrottled"}  # simulated GPUs are never slowed down

pytestmark = pytest.mark.skipif(PROMETHEUS is None, reason="there is no prometheus (Debian package prometheus)")


class Prometheus:
    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def _get(self, path: str, **arguments: str) -> Any:
        with urllib.request.urlopen(f"{self._url}/{path}?{urllib.parse.urlencode(arguments)}", timeout=10) as answer:
            return json.load(answer)["data"]

    async def query(self, text: str) -> list[dict[str, Any]]:
        return (await asyncio.to_thread(self._get, "query", query=text))["result"]  # type: ignore[no-any-return]

    async def get(self, path: str) -> Any:
        return await asyncio.to_thread(self._get, path)

    async def until(self, text: str, *, within: float = 40.0) -> list[dict[str, Any]]:
        """The result of a query, once it has any."""
        deadline = time.monotonic() + within
        while True:
            try:
                if found := await self.query(text):
                    return found
            except OSError:
                pass  # it is starting
            assert time.monotonic() < deadline, f"no data for {text}"
            await asyncio.sleep(0.2)


@asynccontextmanager
async def scraping(node: MonitoredNode) -> AsyncIterator[Prometheus]:
    targets = [
        # As operators of Prometheus label what they find: with the pod that is asked.
        {
            "targets": [f"127.0.0.1:{port}"],
            "labels": {"instance": "n1", "namespace": "xpu-system", "pod": "asked", "container": program},
        }
        for program, port in node.ports.items()
    ]
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(path) for path in RULES],
        "scrape_configs": [{"job_name": "xpu", "honor_labels": True, "static_configs": targets}],
    }
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="xpu-p-") as directory:
        path = Path(directory) / "prometheus.yml"
        path.write_text(yaml.safe_dump(config))
        assert PROMETHEUS
        process = await asyncio.create_subprocess_exec(
            PROMETHEUS,
            f"--config.file={path}",
            f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield Prometheus(port)
        finally:
            process.terminate()
            await process.wait()


async def test_the_dashboards_queries_have_data_and_the_alerts_can_be_worked_out() -> None:
    async with monitored_node() as node, scraping(node) as prometheus:
        node.fault("gpu3", Fault(memory_health="critical"))
        await prometheus.until('xpu_gpu_allocation_info{pod="right"}')
        assert await prometheus.until('hw_status{hw_type="gpu", hw_state="failed"} == 1')
        for query in panel_queries():
            text = query.with_variables(VARIABLES)
            if "throttle" in text:  # shows what is above 0 only
                text = text.removesuffix(" > 0")
            text = text.replace("[1h:1m]", "[1h:1s]")  # two whole minutes are too long to wait for
            await prometheus.until(text)

        (alone,) = await prometheus.query('count by (pod) (hw_power_watts{pod!="", location="card"})')
        assert (alone["metric"]["pod"], alone["value"][1]) == ("train", "1")
        # Idle and shared GPUs work for nobody, least of all for the sidecar that tells of them.
        assert not await prometheus.query('{__name__=~"hw_.*|xpu_gpu_allocation_info", pod="asked"}')
        assert await prometheus.query('hw_power_watts{pod="", namespace="", container=""}')
        assert await prometheus.query('xpu_source_up{pod="asked"}')
        shared = await prometheus.query('xpu_gpu_allocation_info{pod=~"left|right"}')
        assert len({found["metric"]["pci_bdf"] for found in shared}) == 1
        assert not await prometheus.query('{__name__=~".+", exported_pod!=""}')
        # No series twice, whatever their labels: Prometheus drops such samples and says so.
        for target in (await prometheus.get("targets"))["activeTargets"]:
            assert (target["health"], target["lastError"]) == ("up", "")
        assert not await prometheus.query("prometheus_target_scrapes_sample_duplicate_timestamp_total > 0")

        for group in (await prometheus.get("rules"))["groups"]:
            assert [(rule["name"], rule["lastError"]) for rule in group["rules"] if rule["health"] == "err"] == []
        assert await prometheus.until('ALERTS{alertname="XpuGpuFailed"}')
        assert await prometheus.until('ALERTS{alertname="XpuDeviceUnhealthy"}')
        for query in rule_queries():  # what is compared exists, so that no alert is silent for want of data
            names = query.metrics - {"xpu_telemetry_handshake_failures_total"}
            for name in names if query.where not in NOT_NOW else ():
                assert await prometheus.query(name), f"{query.where}: {name}"
