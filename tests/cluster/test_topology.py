"""A kubelet whose topology manager keeps each pod to one NUMA node: XPU_TEST_NUMA_NODES=2 says that it does."""

import os

import pytest

from cluster.installation import Loader, installed, roots
from cluster.machine import Cluster, wait_until
from xpu_simulator.node import Gpu
from xpu_simulator.tree import SimulatedTree

pytestmark = [
    pytest.mark.usefixtures("swept"),
    pytest.mark.skipif(
        os.environ.get("XPU_TEST_NUMA_NODES") != "2",
        reason="needs a kubelet with two NUMA nodes and the policy single-numa-node: XPU_TEST_NUMA_NODES is not 2",
    ),
]


def test_pods_have_gpus_of_one_numa_node_or_are_refused(cluster: Cluster, load: Loader, tree: SimulatedTree) -> None:
    load("intel-gpu-plugin")
    near = {f"card{card}-0": Gpu(card=card, numa_node=card // 2).numa_node for card in range(4)}
    with installed(cluster, "gpu_plugin/base", tree.root, {"intel-gpu-plugin": roots(tree.root)}):
        cluster.wait_for_gpus(capacity=4, allocatable=4)
        cluster.run_pod("one", 1)
        cluster.wait_for_phase("one", "Running")
        cluster.run_pod("pair", 2)  # has to go to the other node, where both are free
        cluster.wait_for_phase("pair", "Running")
        held = cluster.holders()
        assert len({near[id_] for id_ in held["pair"]}) == 1
        assert {near[id_] for id_ in held["one"]}.isdisjoint(near[id_] for id_ in held["pair"])
        cluster.delete_pod("one")
        cluster.delete_pod("pair")
        wait_until(lambda: not cluster.holders(), lambda: f"no holder, but {cluster.holders()}", seconds=30)

        cluster.run_pod("three", 3)
        cluster.wait_for_phase("three", "Failed")
        assert cluster.pod("three")["status"]["reason"] == "TopologyAffinityError"
