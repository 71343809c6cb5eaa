"""The DaemonSets of deploy/kustomize with the images of `make images`: they register, and pods have their devices."""

from pathlib import Path

import pytest

from cluster import starting
from cluster.families import FAMILIES, OPENS_ALL, Family, every_device, use_one, wait_until_offered
from cluster.installation import Loader, installed, roots
from cluster.machine import Cluster
from xpu_simulator.node import Gpu
from xpu_simulator.simulated_node import SimulatedNode


@pytest.fixture
def hardware(tmp_path: Path) -> SimulatedNode:
    return every_device(tmp_path / "node")


pytestmark = pytest.mark.usefixtures("swept")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_familys_daemonset_registers_and_a_pod_opens_its_devices(
    cluster: Cluster, load: Loader, hardware: SimulatedNode, family: Family
) -> None:
    load(family.plugin)
    tree = hardware.tree.root
    with installed(cluster, f"{family.name}_plugin/base", tree, {family.plugin: roots(tree)}) as installation:
        wait_until_offered(cluster, family)
        use_one(cluster, family)
        print(starting.told(installation, tree))


def test_the_node_agent_registers_every_family_and_a_pod_may_have_devices_of_several(
    cluster: Cluster, load: Loader, hardware: SimulatedNode
) -> None:
    load("xpu-node-agent")
    tree = hardware.tree.root
    with installed(cluster, "node_agent/base", tree, {"xpu-node-agent": roots(tree)}) as installation:
        for family in FAMILIES:
            wait_until_offered(cluster, family)
        print(starting.told(installation, tree))
        cluster.run_pod("gpu", 2)
        cluster.run_pod("queue", 1, resource="dsa.intel.com/wq-user-dedicated")
        cluster.wait_for_phase("gpu", "Running")
        cluster.wait_for_phase("queue", "Running")
        assert len(cluster.holders()["gpu"]) == 2


def test_by_cdi_alone_a_pod_has_its_devices(cluster: Cluster, load: Loader, hardware: SimulatedNode) -> None:
    load("intel-gpu-plugin")
    tree = hardware.tree.root
    arguments = {"intel-gpu-plugin": [*roots(tree), "--device-list=cdi"]}
    with installed(cluster, "gpu_plugin/base", tree, arguments):
        cluster.wait_for_gpus(capacity=2, allocatable=2)
        cluster.run_pod("user", 2, OPENS_ALL.format(below="/dri/"))
        cluster.wait_for_phase("user", "Running")
        cluster.wait_for_log("user", "tried")
        opened = {line for line in cluster.kubectl("logs", "user").splitlines() if line.startswith("has ")}
        links = {f"by-path/pci-{Gpu(card=card).pci_address}-{kind}" for card in (0, 1) for kind in ("card", "render")}
        assert opened == {f"has /dev/dri/{name}" for name in ("card0", "card1", "renderD128", "renderD129", *links)}
