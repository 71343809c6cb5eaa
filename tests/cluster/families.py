"""What each family offers on a simulated node that has the devices of all of them."""

from dataclasses import dataclass
from pathlib import Path

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
    name: str
    resource: str
    devices: int
    below: str  # part of the paths of a container's device files

    @property
    def plugin(self) -> str:
        """The name of its image, its DaemonSet and its container."""
        return f"intel-{self.name}-plugin"


FAMILIES = [
    Family("gpu", "gpu.intel.com/i915", 2, "/dri/"),
    Family("dsa", "dsa.intel.com/wq-user-dedicated", 6, "/dsa/"),
    Family("iaa", "iaa.intel.com/wq-user-dedicated", 2, "/iax/"),
    Family("dlb", "dlb.intel.com/pf", 1, "/dlb"),
    Family("sgx", "sgx.intel.com/enclave", 110, "/sgx_enclave"),
    Family("npu", "npu.intel.com/accel", 1, "/accel/"),
]


def every_device(root: Path) -> SimulatedNode:
    """A node with devices of every family, in `root`."""
    xeon = read_node("xeon").model_dump(exclude_unset=True)
    gpus = [Gpu(card=card, numa_node=card).model_dump(exclude_unset=True) for card in range(2)]
    return SimulatedNode(Node.model_validate({**xeon, "gpus": gpus, "npus": [{}]}), root, root / "uevents")


def wait_until_offered(cluster: Cluster, family: Family) -> None:
    count = family.devices
    cluster.wait_for_gpus(capacity=count, allocatable=count, resource=family.resource)


def use_one(cluster: Cluster, family: Family) -> None:
    """A pod asks for one of its devices, has it, and may open it."""
    cluster.run_pod("user", 1, OPENS_ALL.format(below=family.below), resource=family.resource)
    cluster.wait_for_phase("user", "Running")
    assert len(cluster.holders(family.resource)["user"]) == 1
    cluster.wait_for_log("user", "tried")
    told = cluster.kubectl("logs", "user")
    assert "has /dev" in told
    assert "not permitted" not in told
