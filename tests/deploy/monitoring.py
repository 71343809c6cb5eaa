"""What `deploy/` has for monitoring, as values: queries, and the names of metrics in them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = sorted((DEPLOY / "prometheus").glob("*.yaml"))
DASHBOARDS = sorted((DEPLOY / "grafana").glob("*.json"))
METRIC = re.compile(r"\b(?:xpu|hw)_[a-z0-9_]+")


@dataclass(frozen=True)
class Query:
    where: str  # for people
    text: str

    @property
    def metrics(self) -> set[str]:
        """The metrics it names, which are words of ours that are no labels."""
        without_labels = re.sub(r"\{[^}]*\}|\b(?:by|on|without|group_left|group_right) \([^)]*\)", "{", self.text)
        return set(METRIC.findall(without_labels))

    def with_variables(self, values: Mapping[str, str]) -> str:
        text = self.text
        for name, value in values.items():
            text = text.replace(f"${name}", value)
        return text


def alerts() -> Iterator[dict[str, Any]]:
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


def rule_queries() -> list[Query]:
    return [Query(rule["alert"], rule["expr"]) for rule in alerts()]


def dashboards() -> dict[str, dict[str, Any]]:
    return {path.name: json.loads(path.read_text()) for path in DASHBOARDS}


def panel_queries() -> list[Query]:
    return [
        Query(f"{name}: {panel['title']}", target["expr"])
        for name, dashboard in dashboards().items()
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    ]


def variable_queries() -> list[Query]:
    return [
        Query(f"{name}: variable {variable['name']}", variable["definition"])
        for name, dashboard in dashboards().items()
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "query"
    ]
