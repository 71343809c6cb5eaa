"""Dashboards and alerts: what promtool says of them, and what they name exists."""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml

from deploy.monitoring import (
    DASHBOARDS,
    DEPLOY,
    ROOT,
    RULES,
    alerts,
    dashboards,
    panel_queries,
    rule_queries,
    variable_queries,
)
from monitored_node import monitored_node
from xpu_shared.program.exposition import Family
from xpu_sidecars.level_zero import families

PAGE = ROOT / "docs/metrics.md"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool (Debian package prometheus)")
VARIABLES = {"instance": ".*", "gpu": ".*", "namespace": ".*", "pod": ".*", "__rate_interval": "5m"}


def promtool(*arguments: str | Path) -> str:
    assert PROMTOOL
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_there_are_rules_and_a_dashboard() -> None:
    assert RULES
    assert DASHBOARDS


@needs_promtool
@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_prometheus_takes_the_rules(path: Path) -> None:
    assert "SUCCESS" in promtool("check", "rules", path)


@needs_promtool
def test_alerts_fire_when_they_should_and_not_otherwise() -> None:
    promtool("test", "rules", Path(__file__).with_name("alerts.yaml"))


def test_every_alert_is_in_the_unit_tests() -> None:
    text = Path(__file__).with_name("alerts.yaml").read_text()

    assert [alert["alert"] for alert in alerts() if alert["alert"] not in text] == []


@needs_promtool
def test_prometheus_takes_the_queries_of_dashboards(tmp_path: Path) -> None:
    rules = [
        {"record": f"query:{number}", "expr": query.with_variables(VARIABLES)}
        for number, query in enumerate(panel_queries())
    ]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))

    assert f"{len(rules)} rules found" in promtool("check", "rules", path)


@pytest.mark.parametrize(("name", "dashboard"), dashboards().items())
def test_a_dashboard_is_whole(name: str, dashboard: dict[str, object]) -> None:
    panels = dashboard["panels"]
    assert isinstance(panels, list)
    ids = Counter(panel["id"] for panel in panels)
    assert max(ids.values()) == 1
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, f"{panel['title']} covers another panel"
        assert all(x < 24 for x, _ in cells)
        taken |= cells
        assert panel["type"] == "row" or (panel["description"] and panel["targets"])
    declared = {variable["name"] for variable in dashboard["templating"]["list"]} | {"__rate_interval"}  # type: ignore[index]
    used = set(re.findall(r"\$\{?(\w+)", str(panels)))
    assert used <= declared
    assert name.startswith("xpu-")


async def test_every_metric_that_is_named_is_on_our_pages() -> None:
    queries = (*rule_queries(), *panel_queries(), *variable_queries())
    assert [query for query in queries if not query.metrics] == []
    async with monitored_node() as node:
        missing = await node.missing(set[str]().union(*(query.metrics for query in queries)))
    assert [(query.where, query.metrics & missing) for query in queries if query.metrics & missing] == []


def test_every_alert_has_a_runbook() -> None:
    headings = {heading.strip().lower() for heading in re.findall(r"^#+ (.*)$", PAGE.read_text(), re.MULTILINE)}

    for alert in alerts():
        page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
        assert (ROOT / page) == PAGE
        assert anchor == alert["alert"].lower()
        assert anchor in headings, alert["alert"]
        assert {"summary", "description"} <= alert["annotations"].keys()
        assert alert["labels"]["severity"] in ("critical", "warning", "info")


@needs_promtool
def test_prometheus_takes_the_scrape_configuration_that_is_documented(tmp_path: Path) -> None:
    config = yaml.safe_load(scraping())
    assert config["scrape_configs"][0].pop("kubernetes_sd_configs") == [{"role": "pod"}]  # Debian's knows no Kubernetes
    path = tmp_path / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))

    assert "SUCCESS" in promtool("check", "config", path)


def test_the_documented_scrape_configuration_finds_every_page_of_ours_and_keeps_those_of_a_pod_apart() -> None:
    (job,) = yaml.safe_load(scraping())["scrape_configs"]
    rules = {rule["source_labels"][0].removeprefix("__meta_kubernetes_pod_"): rule for rule in job["relabel_configs"]}
    manifests = [
        manifest
        for path in sorted((DEPLOY / "kustomize").glob("*/base/*.yaml"))
        for manifest in yaml.safe_load_all(path.read_text())
        if manifest.get("kind") == "DaemonSet"
    ]
    sidecar = yaml.safe_load((DEPLOY / "kustomize/components/level-zero-sidecar/container.yaml").read_text())
    ports = {
        port["name"]: manifest["metadata"]["name"]
        for manifest in (*manifests, sidecar)
        for container in manifest["spec"]["template"]["spec"]["containers"]
        for port in container.get("ports", ())
    }
    assert job["honor_labels"]
    assert ports.keys() == {"metrics", "level-zero", "xelink"}
    assert [name for name in ports if not re.fullmatch(rules["container_port_name"]["regex"], name)] == []
    apps = [manifest["spec"]["template"]["metadata"]["labels"]["app"] for manifest in manifests]
    assert len(apps) > 7
    assert [app for app in apps if not re.fullmatch(rules["label_app"]["regex"], app)] == []
    assert rules["container_name"]["target_label"] == "container"


def scraping() -> str:
    (block,) = re.findall(r"^```yaml\n(scrape_configs:.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(block)


def test_every_metric_of_gpus_is_documented() -> None:
    text = PAGE.read_text()
    names = [value.name for value in vars(families).values() if isinstance(value, Family)]

    assert len(names) > 20
    assert [name for name in names if f"`{name}`" not in text] == []
