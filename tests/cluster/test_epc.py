"""The EPC on a real node's object, written by a service account with the rights that docs/provisioning.md gives it."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cluster.machine import wait_until
from xpu_plugins.sgx.epc.program import FailedError, run
from xpu_plugins.sgx.epc.settings import EpcSettings

ACCOUNT = "xpu-test-epc"
TOTAL = 15_019_802_624
RESOURCE, LABEL = "sgx.intel.com/epc", "sgx.intel.com/capable"
RULES = [
    {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"]},
]


def kubectl(*arguments: str, document: object = None) -> str:
    program = Path(os.environ["KUBEBUILDER_ASSETS"]) / "kubectl"
    text = json.dumps(document) if document is not None else None
    done = subprocess.run([program, *arguments], input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def node() -> dict[str, Any]:
    (found,) = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    return dict(found)


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[tuple[dict[str, str], Path]]:
    """The environment and the service account's directory of a pod on the node; nothing of it stays."""
    if absent := [name for name in ("KUBEBUILDER_ASSETS", "KUBECONFIG") if not os.environ.get(name)]:
        pytest.skip(f"needs a real API server: {', '.join(absent)} not set")
    kind, api = "rbac.authorization.k8s.io", "rbac.authorization.k8s.io/v1"
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": "default"}
    items = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": "default"}},
        {"apiVersion": api, "kind": "ClusterRole", "metadata": {"name": ACCOUNT}, "rules": RULES},
        {
            "apiVersion": api,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": ACCOUNT},
            "roleRef": {"apiGroup": kind, "kind": "ClusterRole", "name": ACCOUNT},
            "subjects": [subject],
        },
    ]
    objects = {"apiVersion": "v1", "kind": "List", "items": items}
    kubectl("apply", "-f", "-", document=objects)
    name = node()["metadata"]["name"]
    try:
        cluster = json.loads(kubectl("config", "view", "--raw", "-o", "json"))["clusters"][0]["cluster"]
        (tmp_path / "token").write_text(kubectl("create", "token", ACCOUNT))
        data = cluster.get("certificate-authority-data")
        authority = base64.b64decode(data) if data else Path(cluster["certificate-authority"]).read_bytes()
        (tmp_path / "ca.crt").write_bytes(authority)
        server = urlsplit(cluster["server"])
        environment = {
            "NODE_NAME": name,
            "KUBERNETES_SERVICE_HOST": server.hostname or "",
            "KUBERNETES_SERVICE_PORT": str(server.port or 443),
        }
        yield environment, tmp_path
    finally:
        clear(name)
        kubectl("delete", "--ignore-not-found", "-f", "-", document=objects)


def clear(name: str) -> None:
    """Take capacity, allocatable and label away; the kubelet copies the one to the other, so look again."""

    def is_clear() -> bool:
        found = node()
        patch = [
            {"op": "remove", "path": f"/status/{amounts}/sgx.intel.com~1epc"}
            for amounts in ("capacity", "allocatable")
            if RESOURCE in found["status"][amounts]
        ]
        if LABEL in found["metadata"]["labels"]:
            patch.append({"op": "remove", "path": "/metadata/labels/sgx.intel.com~1capable"})
        if patch:
            kubectl("patch", "node", name, "--subresource=status", "--type=json", "-p", json.dumps(patch))
        return not patch

    wait_until(is_clear, lambda: f"{name} has no EPC, but {node()['status']['capacity']}", seconds=30)


def settings(root: Path, size: int) -> EpcSettings:
    directory = root / "sys/devices/system/node/node0/x86"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "sgx_total_bytes").write_text(f"{size}\n")
    return EpcSettings(register=True, node_label=True, cpuid_source=("sysfs",), sysfs_root=root / "sys")


def test_capacity_and_label_are_on_the_node_and_go_again(pod: tuple[dict[str, str], Path]) -> None:
    environment, directory = pod
    assert run(settings(directory, TOTAL), environment, directory) == 0
    found = node()

    assert found["status"]["capacity"][RESOURCE] == str(TOTAL)
    assert found["metadata"]["labels"][LABEL] == "true"
    before = found["metadata"]["resourceVersion"]
    assert run(settings(directory, TOTAL), environment, directory) == 0
    assert node()["status"]["capacity"][RESOURCE] == str(TOTAL), f"since {before}"

    assert run(settings(directory, 0), environment, directory) == 0
    found = node()
    assert found["status"]["capacity"][RESOURCE] == "0"
    assert LABEL not in found["metadata"]["labels"]


def test_a_service_account_without_the_right_is_told_which_verb_it_needs(pod: tuple[dict[str, str], Path]) -> None:
    environment, directory = pod
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": ACCOUNT}}
    kubectl("apply", "-f", "-", document={**role, "rules": RULES[:1]})

    with pytest.raises(FailedError, match=r"HTTP status 403 .*needs: patch nodes/status"):
        wait_until_refused(settings(directory, TOTAL), environment, directory)


def wait_until_refused(chosen: EpcSettings, environment: dict[str, str], directory: Path) -> None:
    """The API server learns of a changed role a moment later."""

    def is_there() -> bool:
        run(chosen, environment, directory)
        clear(environment["NODE_NAME"])
        return False

    wait_until(is_there, lambda: "the request is refused", seconds=10)


def test_a_node_that_is_not_there_is_named(pod: tuple[dict[str, str], Path]) -> None:
    environment, directory = pod
    with pytest.raises(FailedError, match=r"^node no-such-node: GET .*HTTP status 404"):
        run(settings(directory, TOTAL), {**environment, "NODE_NAME": "no-such-node"}, directory)
