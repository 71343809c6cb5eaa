"""The DaemonSets of deploy/kustomize with the images of `make images`: they register, and pods have their devices."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.installation import Loader, installed, roots
from cluster.machine import Cluster
from xpu_simulator.descriptions import read_node
from xpu_simulator.node import Gpu, Node
from xpu_simulator.simulated_node import SimulatedNode

# Where no driver stands behind a file, opening it is ENXIO; a device that the container may not use is EPERM.
OPENS_ALL = (
    "for file in $(find /dev -path '*{below}*' -type c); do echo has $file; (: < $file); done; echo tried; sleep 100000"
)


@dataclass(frozen=True)
class Family:
    directory: str  # of deploy/kustomize
    image: str
    container: str
    resource: str
    devices: int
    below: str  # part of the paths of a container's device files


FAMILIES = [
    Family("gpu_plugin/base", "intel-gpu-plugin", "intel-gpu-plugin", "gpu.intel.com/i915", 2, "/dri/"),
    Family("dsa_plugin/base", "intel-dsa-plugin", "intel-dsa-plugin", "dsa.intel.com/wq-user-dedicated", 6, "/dsa/"),
    Family("iaa_plugin/base", "intel-iaa-plugin", "intel-iaa-plugin", "iaa.intel.com/wq-user-dedicated", 2, "/iax/"),
    Family("dlb_plugin/base", "intel-dlb-plugin", "intel-dlb-plugin", "dlb.intel.com/pf", 1, "/dlb"),
    Family("sgx_plugin/base", "intel-sgx-plugin", "intel-sgx-plugin", "sgx.intel.com/enclave", 110, "/sgx_enclave"),
    Family("npu_plugin/base", "intel-npu-plugin", "intel-npu-plugin", "npu.intel.com/accel", 1, "/accel/"),
]


@pytest.fixture
def hardware(tmp_path: Path) -> SimulatedNode:
    """Every family's devices."""
    xeon = read_node("xeon").model_dump(exclude_unset=True)
    gpus = [Gpu(card=card, numa_node=card).model_dump(exclude_unset=True) for card in range(2)]
    description = Node.model_validate({**xeon, "gpus": gpus, "npus": [{}]})
    return SimulatedNode(description, tmp_path / "node", tmp_path / "node/uevents")


pytestmark = pytest.mark.usefixtures("swept")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.directory.partition("_")[0])
def test_a_familys_daemonset_registers_and_a_pod_opens_its_devices(
    cluster: Cluster, load: Loader, hardware: SimulatedNode, family: Family
) -> None:
    load(family.image)
    tree = hardware.tree.root
    with installed(cluster, family.directory, tree, {family.container: roots(tree)}):
        cluster.wait_for_gpus(capacity=family.devices, allocatable=family.devices, resource=family.resource)
        cluster.run_pod("user", 1, OPENS_ALL.format(below=family.below), resource=family.resource)
        cluster.wait_for_phase("user", "Running")
        assert len(cluster.holders(family.resource)["user"]) == 1
        cluster.wait_for_log("user", "tried")
        told = cluster.kubectl("logs", "user")
        assert "has /dev" in told
        assert "not permitted" not in told


def test_the_node_agent_registers_every_family_and_a_pod_may_have_devices_of_several(
    cluster: Cluster, load: Loader, hardware: SimulatedNode
) -> None:
    load("xpu-node-agent")
    tree = hardware.tree.root
    with installed(cluster, "node_agent/base", tree, {"xpu-node-agent": roots(tree)}):
        for family in FAMILIES:
            cluster.wait_for_gpus(capacity=family.devices, allocatable=family.devices, resource=family.resource)
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
