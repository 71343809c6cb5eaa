"""A real cluster's node with the GPU plugin on simulated hardware. CONTRIBUTING.md says how to have one."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.installation import Loader
from cluster.machine import Cluster, PluginProcess
from xpu_simulator.node import Gpu
from xpu_simulator.tree import SimulatedTree

NEEDED = ("KUBEBUILDER_ASSETS", "KUBECONFIG", "XPU_TEST_KUBELET")


def missing() -> str:
    """Why there is no cluster to test on; empty when there is one."""
    absent = [name for name in NEEDED if not os.environ.get(name)]
    if absent:
        return f"needs a real cluster: {', '.join(absent)} not set"
    if os.geteuid() != 0:
        return "needs root: the kubelet's directories and device files are root's"
    return ""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if reason := missing():
        pytest.skip(reason)
    cluster = Cluster()
    cluster.clear()
    yield cluster
    cluster.clear()


@pytest.fixture(scope="session")
def load(cluster: Cluster) -> Loader:
    """Gives the node images by their names."""
    return Loader()


@pytest.fixture
def swept(cluster: Cluster) -> Iterator[None]:
    """Nothing of a test is left on the cluster."""
    yield
    cluster.clear()


@pytest.fixture
def tree(tmp_path: Path) -> SimulatedTree:
    """Four GPUs, two near each of two NUMA nodes; real character devices, so that containers can open them."""
    tree = SimulatedTree(tmp_path / "node", device_nodes=True)
    for card in range(4):
        tree.add_gpu(Gpu(card=card, numa_node=card // 2))
    return tree


@pytest.fixture
def plugin(cluster: Cluster, tree: SimulatedTree) -> Iterator[PluginProcess]:
    """The plugin registered with the real kubelet, four GPUs allocatable."""
    plugin = PluginProcess(tree)
    plugin.start()
    try:
        cluster.wait_for_gpus(capacity=4, allocatable=4)
        yield plugin
        cluster.clear()
    finally:
        plugin.stop()
    shutil.rmtree(tree.root)
