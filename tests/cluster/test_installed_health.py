"""The overlay `health`: a fault that the Level-Zero sidecar's image measures reaches node and pod."""

from pathlib import Path

import pytest

from cluster.installation import Loader, installed, roots
from cluster.machine import RESOURCE, Cluster, wait_until
from xpu_simulator.level_zero.faults import Fault
from xpu_simulator.node import Gpu, Node
from xpu_simulator.simulated_node import SimulatedNode

pytestmark = pytest.mark.usefixtures("swept")


def test_a_gpu_that_is_too_hot_leaves_the_node_and_comes_back_cooled_down(
    cluster: Cluster, load: Loader, tmp_path: Path
) -> None:
    load("intel-gpu-plugin", "intel-gpu-levelzero")
    tree = tmp_path / "node"
    hardware = SimulatedNode(Node(gpus=[Gpu(card=card) for card in range(2)]), tree, tree / "uevents")
    hardware.library.compile()
    arguments = {
        "intel-gpu-plugin": [*roots(tree), "--health-leave-dwell=1s"],
        "intel-gpu-levelzero": [f"--sysfs-root={tree}/sys", f"--library={hardware.library.path}"],
    }
    with installed(cluster, "gpu_plugin/overlays/health", tree, arguments, hardware.library.environment):
        cluster.wait_for_gpus(capacity=2, allocatable=2)
        cluster.run_pod("user", 2)
        cluster.wait_for_phase("user", "Running")

        hardware.fault("gpu1", Fault(temperature=112))
        cluster.wait_for_gpus(capacity=2, allocatable=1, seconds=10)

        def told() -> dict[str, str]:
            (status,) = cluster.pod("user")["status"]["containerStatuses"]
            (resource,) = status.get("allocatedResourcesStatus") or [{"name": RESOURCE, "resources": []}]
            assert resource["name"] == RESOURCE
            return {device["resourceID"]: device["health"] for device in resource["resources"]}

        wait_until(lambda: told().get("card1-0") == "Unhealthy", lambda: f"card1-0 Unhealthy, but {told()}", seconds=20)
        assert told().get("card0-0") in ("Healthy", None)

        hardware.fault("gpu1", Fault(), clear=True)
        cluster.wait_for_gpus(capacity=2, allocatable=2, seconds=15)
        wait_until(lambda: told().get("card1-0") == "Healthy", lambda: f"card1-0 Healthy, but {told()}", seconds=20)
        assert cluster.pod("user")["status"]["phase"] == "Running"
