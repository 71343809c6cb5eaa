"""What NFD makes of rules: the part of its matching that ours use. Templates are Go's, so Helm fills them in."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deploy.rendering import Object
from deploy.tools import helm, run


@dataclass(frozen=True)
class NodeFacts:
    """What NFD's worker found on a node."""

    pci: Sequence[Mapping[str, str]] = ()
    flags: Mapping[str, frozenset[str]] = field(default_factory=dict)  # e.g. {"kernel.loadedmodule": {"idxd"}}
    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # e.g. {"cpu.security": {…}}


@dataclass(frozen=True)
class Given:
    labels: Mapping[str, str]
    resources: Mapping[str, str]


def evaluated(rules: Sequence[Object], facts: NodeFacts, directory: Path) -> Given:
    """Labels and extended resources of a node.

    Args:
        rules: in the order of the files; a later one wins.
        directory: for a chart that fills in the templates.
    """
    matching = [rule for rule in rules if _matches(rule, facts)]
    labels: dict[str, str] = {}
    for rule, filled in zip(matching, _filled(matching, facts, directory), strict=True):
        labels |= rule.get("labels", {})
        labels |= dict(line.strip().split("=", 1) for line in filled.splitlines() if line.strip())
    resources = {
        name: _referred(value, facts) for rule in matching for name, value in rule.get("extendedResources", {}).items()
    }
    return Given(labels, resources)


def _matches(rule: Object, facts: NodeFacts) -> bool:
    any_of = rule.get("matchAny", [])
    return _all(rule.get("matchFeatures", []), facts) and (
        not any_of or any(_all(one["matchFeatures"], facts) for one in any_of)
    )


def _all(terms: Sequence[Object], facts: NodeFacts) -> bool:
    return all(_term(term, facts) for term in terms)


def _term(term: Object, facts: NodeFacts) -> bool:
    feature, expressions = term["feature"], term["matchExpressions"]
    if feature == "pci.device":
        return bool(_devices(expressions, facts))
    if feature in ("kernel.loadedmodule", "kernel.enabledmodule", "cpu.cpuid"):
        found = dict.fromkeys(facts.flags.get(feature, ()), "")
    elif feature in ("kernel.config", "cpu.security"):
        found = dict(facts.attributes.get(feature, {}))
    else:
        raise ValueError(f"NFD has no feature {feature}")
    return all(_holds(expression, found.get(name)) for name, expression in expressions.items())


def _devices(expressions: Mapping[str, Any], facts: NodeFacts) -> list[Mapping[str, str]]:
    """Those for which all expressions hold."""
    return [
        device
        for device in facts.pci
        if all(_holds(expression, device.get(name)) for name, expression in expressions.items())
    ]


def _holds(expression: Object, value: str | None) -> bool:
    match expression["op"]:
        case "Exists":
            return value is not None
        case "In":
            return value in expression["value"]
        case "IsTrue":
            return value == "true"
    raise ValueError(f"ours use no {expression['op']}")


def _referred(value: str, facts: NodeFacts) -> str:
    feature, _, name = value.removeprefix("@").partition(".sgx.")
    return facts.attributes[feature][f"sgx.{name}"] if value.startswith("@") else value


def _filled(rules: Sequence[Object], facts: NodeFacts, directory: Path) -> list[str]:
    """Each rule's template, with the devices that it matched; its root is what NFD makes it."""
    chart = directory / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "templates", "version": "0.0.0"}))
    matched, places = {}, []
    for number, rule in enumerate(rules):
        (devices, *_) = [
            _devices(term["matchExpressions"], facts)
            for term in rule.get("matchFeatures", [])
            if term["feature"] == "pci.device"
        ] or [[]]
        matched[f"rule{number}"] = {"pci": {"device": [dict(device) for device in devices]}}
        (chart / f"templates/_{number}.tpl").write_text(
            f'{{{{ define "rule{number}" }}}}{rule.get("labelsTemplate", "")}{{{{ end }}}}'
        )
        places.append(f'rule{number}: {{{{ include "rule{number}" .Values.rule{number} | quote }}}}')
    (chart / "values.yaml").write_text(json.dumps(matched))  # which quotes every text
    (chart / "templates/all.yaml").write_text("\n".join(places))
    done = run([helm(), "template", "x", chart])
    assert done.returncode == 0, done.stderr
    texts = yaml.safe_load(done.stdout) or {}
    return [texts[f"rule{number}"] for number in range(len(rules))]
