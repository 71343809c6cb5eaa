"""The sidecar's page: its flags and metrics are those of the program, its manifests are Kubernetes objects."""

import re
from dataclasses import fields
from pathlib import Path

import yaml

from xpu_shared.program.settings import flag_name, load
from xpu_sidecars.level_zero.settings import SidecarSettings

PAGE = (Path(__file__).parents[2] / "docs/level-zero-sidecar.md").read_text()


def test_every_flag_is_on_the_page() -> None:
    names = {flag_name(field.name) for field in fields(SidecarSettings)} - {"v"}
    assert names == {name for name in names if f"`--{name}" in PAGE}


def test_the_arguments_of_the_manifests_are_taken() -> None:
    documents = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    assert [document["kind"] for document in documents] == ["DaemonSet", "DaemonSet"]
    containers = [container for one in documents for container in one["spec"]["template"]["spec"]["containers"]]
    sidecars = [container for container in containers if "levelzero" in container["image"]]

    endpoints = [
        load(SidecarSettings, container["args"], program="x", description="x").settings.endpoints
        for container in sidecars
    ]

    assert endpoints == [("ipc:///var/lib/levelzero/level-zero.sock",), ("ipc:///run/xpu/level-zero.sock",)]
    for container, (endpoint,) in zip(sidecars, endpoints, strict=True):
        directory = endpoint.removeprefix("ipc://").rpartition("/")[0]
        assert directory in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert "privileged" in sidecars[0]["securityContext"]
    assert "privileged" not in sidecars[1]["securityContext"]
