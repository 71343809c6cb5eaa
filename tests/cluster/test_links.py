"""The overlays with the XeLink sidecar: links that XPU Manager or the library knows reach labels and choices."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from cluster.installation import MARK, Installation, Loader, on_cluster, on_tree, roots
from cluster.machine import Cluster, wait_until
from deploy.rendering import built
from xpu_simulator.descriptions import read_node
from xpu_simulator.fabric.description import End
from xpu_simulator.fabric.xpu_manager import XpuManager
from xpu_simulator.simulated_node import SimulatedNode

pytestmark = pytest.mark.usefixtures("swept")
GPU_NODE = "intel.feature.node.kubernetes.io/gpu"  # the label that NFD would write
FEATURES = "/etc/kubernetes/node-feature-discovery/features.d"
ISLANDS = ({0, 1, 2, 3}, {4, 5, 6, 7})
JOINED = {pair for island in ISLANDS for pair in combinations(sorted(island), 2)}


@pytest.fixture
def hardware(tmp_path: Path) -> SimulatedNode:
    """Eight GPUs in two islands of four, and a driver's library that knows their ports."""
    hardware = SimulatedNode(read_node("two-islands"), tmp_path / "node", tmp_path / "node/uevents")
    hardware.library.compile()
    for name in ("run", "features"):
        (tmp_path / name).mkdir()
    return hardware


@pytest.fixture
def gpu_node(cluster: Cluster) -> Iterator[None]:
    """The node has the label of NFD's that the overlays ask for."""
    cluster.kubectl("label", "node", cluster.node, f"{GPU_NODE}=true", "--overwrite")
    yield
    cluster.kubectl("label", "node", cluster.node, f"{GPU_NODE}-")


@contextmanager
def linked(cluster: Cluster, overlay: str, hardware: SimulatedNode) -> Iterator[Installation]:
    """An overlay with plugin and sidecar, which see directories of the test's where they mount the host's."""
    tree = hardware.tree.root
    host = {"/run/xpu": tree.parent / "run", FEATURES: tree.parent / "features"}
    quick = ["--startup-delay=0", "--interval=1", f"--sysfs-root={tree}/sys"]
    native = [f"--library={hardware.library.path}"] if "native" in overlay else []
    arguments = {"intel-gpu-plugin": roots(tree), "xelink-sidecar": [*quick, *native]}
    objects = on_tree(built(overlay), tree, arguments, hardware.library.environment, host)
    with on_cluster(cluster, objects) as installation:
        installation.wait_until_ready()
        yield installation


def joined(features: Path) -> set[tuple[int, int]]:
    """The pairs of GPUs that the labels in the sidecar's feature file name."""
    file = features / "xpum-sidecar-labels.txt"
    lines = file.read_text().splitlines() if file.exists() else []
    parts = [line.partition("=") for line in lines if line.startswith("gpu.intel.com/xe-links")]
    text = "".join(value.removeprefix("Z") for _, _, value in parts)
    return {(int(a), int(b)) for a, b in re.findall(r"(\d+)\.\d+-(\d+)\.\d+", text)}


def wait_for_pairs(features: Path, pairs: set[tuple[int, int]]) -> None:
    wait_until(
        lambda: joined(features) == pairs, lambda: f"{sorted(pairs)}, but {sorted(joined(features))}", seconds=30
    )


@pytest.mark.usefixtures("gpu_node")
@pytest.mark.parametrize("source", ["xpum", "native"])
def test_links_are_labels_and_a_pod_has_gpus_of_one_island(
    cluster: Cluster, load: Loader, hardware: SimulatedNode, source: str, request: pytest.FixtureRequest
) -> None:
    load("intel-gpu-plugin", "intel-xpumanager-sidecar")
    overlay = "xelink" if source == "xpum" else "xelink-native"
    if source == "xpum":  # where the manifest says that it is
        (address,) = (
            one["address"]
            for one in cluster.get("node", cluster.node)["status"]["addresses"]
            if one["type"] == "InternalIP"
        )
        manager = XpuManager(hardware.xpu_manager_page, host=address, port=29999)
        request.addfinalizer(manager.close)
    features = hardware.tree.root.parent / "features"
    with linked(cluster, f"gpu_plugin/overlays/{overlay}", hardware):
        cluster.wait_for_gpus(capacity=8, allocatable=8)
        wait_for_pairs(features, JOINED)
        taken: list[set[int]] = []
        for name in ("first", "second"):
            cluster.run_pod(name, 3)
            cluster.wait_for_phase(name, "Running")
            taken.append({int(re.sub(r"card(\d+)-0", r"\1", id_)) for id_ in cluster.holders()[name]})
        assert all(any(gpus <= island for island in ISLANDS) for gpus in taken), taken

        for tile in (0, 1):
            hardware.fault_link(End("gpu0", tile), End("gpu1", tile), "down")
        wait_for_pairs(features, JOINED - {(0, 1)})
    assert list(features.iterdir()) == []


def in_the_others_pod(features: Path) -> dict[str, Any]:
    """The container as the Go implementation adds it to XPU Manager's pod: no flags of ours, and no /run/xpu."""
    name = "intel-xpumanager"
    container = {
        "name": "xelink-sidecar",
        "image": "intel/intel-xpumanager-sidecar:0.1.0",
        "imagePullPolicy": "IfNotPresent",
        "args": ["-v=2"],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsUser": 0,
        },
        "volumeMounts": [{"name": "features-d", "mountPath": FEATURES}],
    }
    volumes = [{"name": "features-d", "hostPath": {"path": str(features)}}]
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"hostNetwork": True, "containers": [container], "volumes": volumes},  # for its 127.0.0.1
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "labels": MARK},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template},
    }


def test_in_the_container_of_the_one_that_it_replaces_it_writes_the_labels(
    cluster: Cluster, load: Loader, hardware: SimulatedNode, request: pytest.FixtureRequest
) -> None:
    load("intel-xpumanager-sidecar")
    manager = XpuManager(hardware.xpu_manager_page, port=29999)
    request.addfinalizer(manager.close)
    features = hardware.tree.root.parent / "features"
    with on_cluster(cluster, [in_the_others_pod(features)]) as installation:
        installation.wait_until_ready()
        wait_for_pairs(features, JOINED)
        (pod,) = installation.pods()
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
