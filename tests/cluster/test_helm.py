"""The chart on the real cluster: each of its sections with its image, and a release's whole life."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster.families import FAMILIES, Family, every_device, use_one, wait_until_offered
from cluster.installation import Loader, roots
from cluster.machine import CDI, SOCKETS, Cluster, wait_until
from deploy.rendering import CHART
from deploy.tools import helm
from xpu_simulator.node import Gpu, Node
from xpu_simulator.simulated_node import SimulatedNode

pytestmark = pytest.mark.usefixtures("swept")
RELEASE, NAMESPACE = "xpu", "xpu-helm"


class Release:
    def __init__(self, cluster: Cluster, values: Mapping[str, Any], directory: Path) -> None:
        self._helm = helm()
        self._cluster = cluster
        self._values = directory / "values.json"
        self._values.write_text(json.dumps({**values, "pods": {"annotations": {"test": "xpu"}}}))

    def helm(self, *arguments: str) -> str:
        command = [self._helm, "--namespace", NAMESPACE, *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=150)
        assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def install(self, verb: str, *arguments: str) -> None:
        self.helm(verb, RELEASE, str(CHART), "--values", str(self._values), "--wait", "--timeout=2m", *arguments)

    def uninstall(self) -> None:
        self.helm("uninstall", RELEASE, "--wait", "--cascade=foreground")

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


@contextmanager
def released(cluster: Cluster, values: Mapping[str, Any], directory: Path) -> Iterator[Release]:
    """The chart with these values, ready, for as long as the context lasts; its namespace goes with it."""
    release = Release(cluster, values, directory)
    try:
        release.install("install", "--create-namespace")
        yield release
    finally:
        cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true")


def on_tree(tree: Path) -> dict[str, Any]:
    """The values of a section that show its program a simulated tree."""
    return {
        "args": roots(tree),
        "volumes": [{"name": "simulated", "hostPath": {"path": str(tree), "type": "Directory"}}],
        "volumeMounts": [{"name": "simulated", "mountPath": str(tree)}],
    }


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_familys_section_registers_a_pod_opens_its_devices_and_helms_own_test_passes(
    cluster: Cluster, load: Loader, tmp_path: Path, family: Family
) -> None:
    load(family.plugin)
    tree = every_device(tmp_path / "node").tree.root
    values = {"gpu": {"enabled": False}} | {family.name: {"enabled": True, **on_tree(tree)}}
    with released(cluster, values, tmp_path) as release:
        wait_until_offered(cluster, family)
        use_one(cluster, family)
        if family.devices == 1:  # for the pod of Helm's own test
            cluster.delete_pod("user")
        assert "Succeeded" in release.helm("test", RELEASE, "--timeout=1m")


def test_the_node_agents_section_registers_every_family(cluster: Cluster, load: Loader, tmp_path: Path) -> None:
    load("xpu-node-agent")
    tree = every_device(tmp_path / "node").tree.root
    values = {"gpu": {"enabled": False}, "nodeAgent": {"enabled": True, **on_tree(tree)}}
    with released(cluster, values, tmp_path) as release:
        for family in FAMILIES:
            wait_until_offered(cluster, family)
        use_one(cluster, FAMILIES[0])
        assert "Succeeded" in release.helm("test", RELEASE, "--timeout=1m")


def test_install_upgrade_rollback_and_uninstall_leave_nothing_behind(
    cluster: Cluster, load: Loader, tmp_path: Path
) -> None:
    load("intel-gpu-plugin")
    tree = tmp_path / "node"
    SimulatedNode(Node(gpus=[Gpu(card=card) for card in range(2)]), tree, tree / "uevents")
    labels = cluster.get("node", cluster.node)["metadata"]["labels"]
    with released(cluster, {"gpu": on_tree(tree)}, tmp_path) as release:
        cluster.wait_for_gpus(capacity=2, allocatable=2)
        release.install("upgrade", "--set=gpu.sharedDevNum=3")
        cluster.wait_for_gpus(capacity=6, allocatable=6)
        release.helm("rollback", RELEASE, "1", "--wait", "--timeout=2m")
        wait_until(lambda: cluster.gpus()[1] == 2, lambda: f"allocatable 2, but {cluster.gpus()}", seconds=30)
        cluster.run_pod("user", 2)
        cluster.wait_for_phase("user", "Running")
        cluster.delete_pod("user")
        release.uninstall()
        wait_until(lambda: not release.objects(), lambda: f"no object, but {release.objects()}", seconds=60)
        assert cluster.get("node", cluster.node)["metadata"]["labels"] == labels
        assert [path.name for path in SOCKETS.glob("gpu.intel.com*")] == []
        cluster.wait_for_gpus_gone()
        assert [path.name for path in CDI.glob("intel*gpu*")] == []
