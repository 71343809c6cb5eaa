"""The Level-Zero sidecar as its own DaemonSet: labels of its own node with its own rights, and who holds which GPU."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.installation import Loader, on_tree, roots
from cluster.machine import Cluster, wait_until
from deploy.rendering import built
from xpu_simulator.node import Gpu, Node
from xpu_simulator.simulated_node import SimulatedNode

pytestmark = pytest.mark.usefixtures("swept")
NAMESPACE = "xpu-device-plugins"
SIDECAR = "xpu-level-zero-sidecar"
GPU_NODE = "intel.feature.node.kubernetes.io/gpu"  # the label that NFD would write
OTHER_NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-of-another"}}


@pytest.fixture
def hardware(tmp_path: Path) -> SimulatedNode:
    root = tmp_path / "node"
    hardware = SimulatedNode(Node(gpus=[Gpu(card=card) for card in range(2)]), root, root / "uevents")
    hardware.library.compile()
    return hardware


@pytest.fixture
def sidecar(cluster: Cluster, load: Loader, hardware: SimulatedNode) -> Iterator[None]:
    """The overlay with plugin, sidecar, its account and the policy, on a node that NFD has labelled."""
    load("intel-gpu-plugin", "intel-gpu-levelzero")
    tree = hardware.tree.root
    arguments = {
        "intel-gpu-plugin": roots(tree),
        "intel-gpu-levelzero": [f"--sysfs-root={tree}/sys", f"--library={hardware.library.path}"],
    }
    shipped = built("level_zero_sidecar/overlays/labels-node")
    objects = on_tree(shipped, tree, arguments, hardware.library.environment)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    cluster.kubectl("label", "node", cluster.node, f"{GPU_NODE}=true", "--overwrite")
    cluster.kubectl("apply", "-f", "-", document=namespace)
    cluster.kubectl("apply", "-n", NAMESPACE, "-f", "-", document=as_list(objects))
    cluster.kubectl("apply", "-f", "-", document=OTHER_NODE)
    try:
        cluster.kubectl("rollout", "status", "-n", NAMESPACE, f"daemonset/{SIDECAR}", "--timeout=50s")
        yield
    finally:
        cluster.kubectl("delete", "--ignore-not-found", "-n", NAMESPACE, "-f", "-", document=as_list(objects))
        cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=true")
        cluster.kubectl("delete", "node", "node-of-another")
        own = [key for key in labels(cluster) if key.startswith("gpu.intel.com/")]
        cluster.kubectl("label", "node", cluster.node, f"{GPU_NODE}-", *(f"{key}-" for key in own))


def as_list(objects: list[dict[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "List", "items": objects}


def labels(cluster: Cluster) -> dict[str, str]:
    found: dict[str, str] = cluster.get("node", cluster.node)["metadata"]["labels"]
    return found


def pod_of_the_sidecar(cluster: Cluster) -> dict[str, Any]:
    (pod,) = cluster.get("pods", "-n", NAMESPACE, "-l", f"app={SIDECAR}")["items"]
    found: dict[str, Any] = pod
    return found


def patch_as_the_sidecar(cluster: Cluster, node: str, document: object) -> str:
    """What the API server answers to a change of a node with the sidecar's own token; empty when it is made."""
    metadata = pod_of_the_sidecar(cluster)["metadata"]
    bound = [
        "--bound-object-kind=Pod",
        f"--bound-object-name={metadata['name']}",
        f"--bound-object-uid={metadata['uid']}",
    ]
    token = cluster.kubectl("create", "token", SIDECAR, "-n", NAMESPACE, *bound).strip()
    done = subprocess.run(
        [
            *(
                cluster.program,
                "--kubeconfig=/dev/null",
                "--server=https://127.0.0.1:443",
                "--insecure-skip-tls-verify",
            ),
            *(f"--token={token}", "patch", "node", node, "--type=merge", "--patch", json.dumps(document)),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return "" if done.returncode == 0 else done.stderr


def test_the_sidecar_labels_its_own_node_and_may_change_nothing_else(cluster: Cluster, sidecar: None) -> None:
    wait_until(
        lambda: labels(cluster).get("gpu.intel.com/xpu-health") == "ok",
        lambda: f"labels of the sidecar, but {labels(cluster)}",
        seconds=40,
    )
    own = {"metadata": {"labels": {"gpu.intel.com/mine": "yes"}}}
    assert patch_as_the_sidecar(cluster, cluster.node, own) == ""
    assert labels(cluster)["gpu.intel.com/mine"] == "yes"
    assert "no node but its own" in patch_as_the_sidecar(cluster, "node-of-another", own)
    foreign = {"metadata": {"labels": {"kubernetes.io/hostname": "elsewhere"}}}
    assert "no labels but those of gpu.intel.com" in patch_as_the_sidecar(cluster, cluster.node, foreign)
    assert "nothing but labels" in patch_as_the_sidecar(cluster, cluster.node, {"spec": {"unschedulable": True}})


def test_the_sidecars_page_says_which_pod_holds_a_gpu(cluster: Cluster, sidecar: None) -> None:
    cluster.wait_for_gpus(capacity=2, allocatable=2)
    cluster.run_pod("user", 1)
    cluster.wait_for_phase("user", "Running")
    (held,) = cluster.holders()["user"]
    address = Gpu(card=int(held.removeprefix("card").partition("-")[0])).pci_address

    def page() -> str:
        pod = pod_of_the_sidecar(cluster)["status"]["podIP"]
        with urllib.request.urlopen(f"http://{pod}:9101/metrics", timeout=5) as answer:
            text: str = answer.read().decode()
        return text

    def told() -> list[str]:
        return [line for line in page().splitlines() if line.startswith("xpu_gpu_allocation_info{")]

    wait_until(lambda: any('pod="user"' in line and address in line for line in told()), page, seconds=15)
    temperatures = [line for line in page().splitlines() if line.startswith("hw_temperature_celsius{")]
    assert any(address in line and 'pod="user"' in line for line in temperatures)
    assert not any(address not in line and 'pod="user"' in line for line in temperatures)

    cluster.delete_pod("user")
    wait_until(lambda: not any('pod="user"' in line for line in told()), page, seconds=20)
