"""What kustomize and Helm make of deploy/: Kubernetes objects as they would be sent to an API server."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from deploy.tools import ROOT, helm, kustomize, run

KUSTOMIZE = ROOT / "deploy/kustomize"
CHART = ROOT / "deploy/helm/xpu-device-plugins"
NAMESPACE = "xpu-device-plugins"  # that a chart is rendered for

Object = dict[str, Any]


class CannotRenderError(Exception):
    """The program's message."""


def kustomizations() -> list[str]:
    """Every directory that can be applied, relative to deploy/kustomize."""
    files = sorted(KUSTOMIZE.rglob("kustomization.yaml"))
    return [
        str(file.parent.relative_to(KUSTOMIZE))
        for file in files
        if yaml.safe_load(file.read_text())["kind"] == "Kustomization"
    ]


def built(directory: str | Path) -> tuple[Object, ...]:
    """The objects of one kustomization."""
    return tuple(json.loads(text) for text in _built(KUSTOMIZE / directory))


def templated(values: Mapping[str, Any], *, kubernetes: str = "1.37.0") -> tuple[Object, ...]:
    """The objects of the chart with these values, its test pods included."""
    return tuple(json.loads(text) for text in _templated(json.dumps(values), kubernetes))


@cache
def _built(directory: Path) -> tuple[str, ...]:
    return _documents([*kustomize(), str(directory)])


@cache
def _templated(values: str, kubernetes: str) -> tuple[str, ...]:
    arguments = ["template", "xpu", str(CHART), "--namespace", NAMESPACE, "--kube-version", kubernetes]
    options = [f"--set-json={key}={json.dumps(value)}" for key, value in json.loads(values).items()]
    return _documents([helm(), *arguments, *options])


def _documents(command: list[str]) -> tuple[str, ...]:
    """One text for each object: a copy of it is quickly made, and tests may change theirs."""
    done = run(command)
    if done.returncode:
        raise CannotRenderError(done.stderr)
    found = yaml.load_all(done.stdout, Loader=yaml.CSafeLoader)  # several times as fast as the one in Python
    return tuple(json.dumps(one) for one in found if one is not None)
