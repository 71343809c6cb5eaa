"""The chart's whole life on the real cluster."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cluster.installation import Loader, roots
from cluster.machine import CDI, SOCKETS, Cluster, wait_until
from deploy.rendering import CHART
from deploy.tools import helm
from xpu_simulator.node import Gpu, Node
from xpu_simulator.simulated_node import SimulatedNode

pytestmark = pytest.mark.usefixtures("swept")
RELEASE, NAMESPACE = "xpu", "xpu-helm"


class Release:
    def __init__(self, cluster: Cluster, values: dict[str, Any], directory: Path) -> None:
        self._helm = helm()
        self._cluster = cluster
        self._values = directory / "values.json"
        self._values.write_text(json.dumps(values))

    def helm(self, *arguments: str) -> None:
        command = [self._helm, "--namespace", NAMESPACE, *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=150)
        assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stderr}"

    def install(self, verb: str, *arguments: str) -> None:
        self.helm(verb, RELEASE, str(CHART), "--values", str(self._values), "--wait", "--timeout=2m", *arguments)

    def objects(self) -> list[str]:
        kinds = "daemonsets,pods,configmaps,secrets,serviceaccounts,services,roles,rolebindings,networkpolicies"
        found = self._cluster.kubectl("get", kinds, "-n", NAMESPACE, "-o", "name").split()
        anyones = {"configmap/kube-root-ca.crt", "serviceaccount/default"}  # every namespace has them
        everywhere = "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings"
        selector = f"app.kubernetes.io/instance={RELEASE}"
        return [
            *(set(found) - anyones),
            *self._cluster.kubectl("get", everywhere, "-l", selector, "-o", "name").split(),
        ]


def test_install_upgrade_rollback_and_uninstall_leave_nothing_behind(
    cluster: Cluster, load: Loader, tmp_path: Path
) -> None:
    load("intel-gpu-plugin")
    tree = tmp_path / "node"
    SimulatedNode(Node(gpus=[Gpu(card=card) for card in range(2)]), tree, tree / "uevents")
    gpu = {
        "args": roots(tree),
        "volumes": [{"name": "simulated", "hostPath": {"path": str(tree), "type": "Directory"}}],
        "volumeMounts": [{"name": "simulated", "mountPath": str(tree)}],
    }
    release = Release(cluster, {"gpu": gpu, "pods": {"annotations": {"test": "xpu"}}}, tmp_path)
    labels = cluster.get("node", cluster.node)["metadata"]["labels"]
    try:
        release.install("install", "--create-namespace")
        cluster.wait_for_gpus(capacity=2, allocatable=2)
        release.install("upgrade", "--set=gpu.sharedDevNum=3")
        cluster.wait_for_gpus(capacity=6, allocatable=6)
        release.helm("rollback", RELEASE, "1", "--wait", "--timeout=2m")
        wait_until(lambda: cluster.gpus()[1] == 2, lambda: f"allocatable 2, but {cluster.gpus()}", seconds=30)
        cluster.run_pod("user", 2)
        cluster.wait_for_phase("user", "Running")
        cluster.delete_pod("user")
        release.helm("uninstall", RELEASE, "--wait", "--cascade=foreground")
        wait_until(lambda: not release.objects(), lambda: f"no object, but {release.objects()}", seconds=60)
        assert cluster.get("node", cluster.node)["metadata"]["labels"] == labels
        assert [path.name for path in SOCKETS.glob("gpu.intel.com*")] == []
        cluster.wait_for_gpus_gone()
        assert [path.name for path in CDI.glob("intel*gpu*")] == []
    finally:
        cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true")
