"""The overlay `events`: a fault that the Level-Zero sidecar's image measures reaches node, pod and Event."""

from pathlib import Path
from typing import Any

import pytest

from cluster.installation import Loader, installed, roots
from cluster.machine import RESOURCE, Cluster, wait_until
from xpu_simulator.level_zero.faults import Fault
from xpu_simulator.node import Gpu, Node
from xpu_simulator.simulated_node import SimulatedNode

pytestmark = pytest.mark.usefixtures("swept")


def health_of_devices(cluster: Cluster) -> dict[str, str]:
    """What the status of the pod `user` says of its devices, by their ids."""
    (status,) = cluster.pod("user")["status"]["containerStatuses"]
    (resource,) = status.get("allocatedResourcesStatus") or [{"name": RESOURCE, "resources": []}]
    assert resource["name"] == RESOURCE
    return {device["resourceID"]: device["health"] for device in resource["resources"]}


def events(cluster: Cluster) -> list[tuple[str, str, str]]:
    """Type, reason and message of the plugin's Events on the node, the oldest first."""
    found: list[dict[str, Any]] = cluster.get("events", "--field-selector", "involvedObject.kind=Node")["items"]
    ours = [event for event in found if event["source"].get("component") == "xpu-gpu-plugin"]
    assert {event["involvedObject"]["name"] for event in ours} <= {cluster.node}
    ours.sort(key=lambda event: str(event["metadata"]["creationTimestamp"]))
    return [(event["type"], event["reason"], event["message"]) for event in ours]


def test_a_gpu_that_is_too_hot_leaves_the_node_and_comes_back_cooled_down(
    cluster: Cluster, load: Loader, tmp_path: Path
) -> None:
    load("intel-gpu-plugin", "intel-gpu-levelzero")
    earlier = len(events(cluster))
    tree = tmp_path / "node"
    hardware = SimulatedNode(Node(gpus=[Gpu(card=card) for card in range(2)]), tree, tree / "uevents")
    hardware.library.compile()
    arguments = {
        "intel-gpu-plugin": [*roots(tree), "--health-leave-dwell=1s"],
        "intel-gpu-levelzero": [f"--sysfs-root={tree}/sys", f"--library={hardware.library.path}"],
    }
    with installed(cluster, "gpu_plugin/overlays/events", tree, arguments, hardware.library.environment):
        cluster.wait_for_gpus(capacity=2, allocatable=2)
        cluster.run_pod("user", 2)
        cluster.wait_for_phase("user", "Running")
        assert len(events(cluster)) == earlier

        def wait_for(health: str, event: tuple[str, str, str]) -> None:
            def told() -> tuple[str | None, list[tuple[str, str, str]]]:
                return health_of_devices(cluster).get("card1-0"), events(cluster)

            expected = f"card1-0 {health} and {event}"
            wait_until(lambda: told()[0] == health, lambda: f"{expected}, but {told()}", seconds=20)
            wait_until(lambda: told()[1][-1:] == [event], lambda: f"{expected}, but {told()}", seconds=20)

        hardware.fault("gpu1", Fault(temperature=112))
        cluster.wait_for_gpus(capacity=2, allocatable=1, seconds=10)
        sensors = (f"temperature-{sensor}: {sensor} temperature 112 > 100" for sensor in ("global", "gpu"))
        message = f"{RESOURCE}: card1-0 is unhealthy: {'; '.join(sensors)}"
        wait_for("Unhealthy", ("Warning", "DeviceUnhealthy", message))
        assert health_of_devices(cluster).get("card0-0") in ("Healthy", None)

        hardware.fault("gpu1", Fault(), clear=True)
        cluster.wait_for_gpus(capacity=2, allocatable=2, seconds=15)
        wait_for("Healthy", ("Normal", "DeviceHealthy", f"{RESOURCE}: card1-0 is healthy"))
        assert cluster.pod("user")["status"]["phase"] == "Running"
