"""Provisioning by the shipped init containers and the registration of enclave memory, with their images.

Their mounts are those that are shipped; at the other end are the directories of a simulated tree, and behind its files
a simulated kernel.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.installation import MARK, Installation, Loader, on_cluster, on_tree, roots
from cluster.live_kernel import LiveKernel, unconfigured
from cluster.machine import Cluster, wait_until
from deploy.rendering import built
from xpu_simulator.families.dlb.device import Dlb
from xpu_simulator.families.dlb.kernel import DlbKernel
from xpu_simulator.families.sgx.device import Sgx
from xpu_simulator.tree import SimulatedTree

pytestmark = pytest.mark.usefixtures("swept")
DSA_QUEUE, IAA_QUEUE = "dsa.intel.com/wq-user-dedicated", "iaa.intel.com/wq-user-dedicated"
FUNCTION = "dlb.intel.com/vf"
EPC, CAPABLE = "sgx.intel.com/epc", "sgx.intel.com/capable"


@contextmanager
def provisioned(cluster: Cluster, overlay: str, tree: SimulatedTree) -> Iterator[Installation]:
    """An overlay whose init container sees the tree's directories where it mounts the host's."""
    host = {f"/sys/{name}": tree.sysfs / name for name in ("bus", "devices")} | {"/run/xpu": tree.root / "run"}
    (tree.root / "run").mkdir()
    objects = built(overlay)
    (pod,) = (one["spec"]["template"]["spec"] for one in objects if one["kind"] == "DaemonSet")
    (first,), (plugin,) = pod["initContainers"], pod["containers"]
    arguments = {first["name"]: [f"--dev-root={tree.dev}"], plugin["name"]: roots(tree.root)}
    with on_cluster(cluster, on_tree(objects, tree.root, arguments, host=host)) as installation:
        yield installation


def start_again(installation: Installation) -> None:
    (pod,) = installation.pods()
    installation.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=true")
    installation.wait_until_ready()


def test_queues_are_configured_before_the_plugin_starts_and_stay_at_its_next_start(
    cluster: Cluster, load: Loader, tmp_path: Path
) -> None:
    load("intel-dsa-plugin", "intel-idxd-config-initcontainer")
    tree = SimulatedTree(tmp_path / "node")
    with (
        LiveKernel(tree, unconfigured(tree)) as kernel,
        provisioned(cluster, "dsa_plugin/overlays/dsa_initcontainer", tree) as installation,
    ):
        installation.wait_until_ready()
        assert kernel.refused == []
        for device in ("dsa0", "dsa10"):
            assert f"{device}: changed" in installation.init_log()
        cluster.wait_for_gpus(capacity=8, allocatable=8, resource=DSA_QUEUE)
        cluster.run_pod("user", 2, resource=DSA_QUEUE)
        cluster.wait_for_phase("user", "Running")

        start_again(installation)
        for device in ("dsa0", "dsa10"):
            assert f"{device}: unchanged" in installation.init_log()
        cluster.wait_for_gpus(capacity=8, allocatable=8, resource=DSA_QUEUE)


def layout(size: int) -> str:
    """Two dedicated queues of this size, on every IAA device."""
    queue = f'"mode": "dedicated", "type": "user", "size": {size}, "priority": 10, "group_id": 0'
    queues = ", ".join(f'{{"dev": "wqX.{number}", "name": "iaxX{number}", {queue}}}' for number in range(2))
    engines = '[{"dev": "engineX.0", "group_id": 0}]'
    group = f'{{"dev": "groupX.0", "grouped_workqueues": [{queues}], "grouped_engines": {engines}}}'
    return f'[{{"dev": "iaxX", "groups": [{group}]}}]'


def config_map(cluster: Cluster, name: str, files: Mapping[str, str]) -> None:
    metadata = {"name": name, "labels": MARK}
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(files)}
    cluster.kubectl("apply", "-f", "-", document=document)


def exit_codes(installation: Installation) -> set[int]:
    """Of init containers that have ended."""
    return {
        state["terminated"]["exitCode"]
        for pod in installation.pods()
        for status in pod["status"].get("initContainerStatuses", [])
        for state in (status.get("state", {}), status.get("lastState", {}))
        if "terminated" in state
    }


def test_the_nodes_own_file_counts_and_one_that_is_impossible_keeps_the_plugin_from_starting(
    cluster: Cluster, load: Loader, tmp_path: Path
) -> None:
    load("intel-iaa-plugin", "intel-idxd-config-initcontainer")
    tree = SimulatedTree(tmp_path / "node")
    own = f"iaa-{cluster.node}.conf"
    config_map(cluster, "intel-iaa-config", {"iaa.conf": layout(16), own: layout(72)})
    with (
        LiveKernel(tree, unconfigured(tree)) as kernel,
        provisioned(cluster, "iaa_plugin/overlays/iaa_initcontainer", tree) as installation,
    ):
        wait_until(lambda: bool(exit_codes(installation)), installation.story, seconds=60)
        assert exit_codes(installation) == {1}
        told = f"{own}: iax1: groups[0].grouped_workqueues: sizes sum to 144, device has 128"
        wait_until(lambda: told in installation.init_log(), installation.story, seconds=30)

        config_map(cluster, "intel-iaa-config", {"iaa.conf": layout(16), own: layout(64)})
        start_again(installation)
        assert kernel.refused == []
        assert "iax1: changed" in installation.init_log()
        assert (tree.sysfs / "bus/dsa/devices/wq1.1/size").read_text() == "64\n"
        cluster.wait_for_gpus(capacity=2, allocatable=2, resource=IAA_QUEUE)


def test_a_load_balancer_has_a_virtual_function_with_its_share_before_the_plugin_starts(
    cluster: Cluster, load: Loader, tmp_path: Path
) -> None:
    load("intel-dlb-plugin", "intel-dlb-initcontainer")
    tree = SimulatedTree(tmp_path / "node")
    device = Dlb(pci_address="0000:7e:00.0")
    with (
        LiveKernel(tree, DlbKernel(tree, [device])) as kernel,
        provisioned(cluster, "dlb_plugin/overlays/dlb_initcontainer", tree) as installation,
    ):
        installation.wait_until_ready()
        assert kernel.refused == []
        assert "0000:7e:00.0: changed" in installation.init_log()
        share = tree.sysfs / "bus/pci/devices/0000:7e:00.0/vf0_resources/num_ldb_credits"
        assert share.read_text().strip() == "8192"
        cluster.wait_for_gpus(capacity=1, allocatable=1, resource=FUNCTION)
        cluster.run_pod("user", 1, resource=FUNCTION)
        cluster.wait_for_phase("user", "Running")


@pytest.fixture
def without_epc(cluster: Cluster) -> Iterator[None]:
    """The node's label and capacity go with the test."""
    yield
    cluster.kubectl("label", "node", cluster.node, f"{CAPABLE}-")
    key = EPC.replace("/", "~1")

    def is_gone() -> bool:  # the kubelet copies capacity to allocatable meanwhile
        status = cluster.get("node", cluster.node)["status"]
        patch = [f"/status/{of}/{key}" for of in ("capacity", "allocatable") if EPC in status[of]]
        for path in patch:
            operation = f'[{{"op": "remove", "path": "{path}"}}]'
            cluster.kubectl("patch", "node", cluster.node, "--subresource=status", "--type=json", "-p", operation)
        return not patch

    wait_until(is_gone, lambda: f"no {EPC}", seconds=30)


@pytest.mark.usefixtures("without_epc")
def test_enclave_memory_is_registered_and_the_plugin_runs_on_the_node_that_has_some(
    cluster: Cluster, load: Loader, tmp_path: Path
) -> None:
    load("intel-sgx-plugin", "intel-sgx-initcontainer")
    tree = SimulatedTree(tmp_path / "node")
    tree.add(Sgx(epc_bytes=[64 << 20]))
    arguments = {
        "sgx-node-init": ["--cpuid-source=sysfs", f"--sysfs-root={tree.sysfs}"],
        "intel-sgx-plugin": roots(tree.root),
    }
    with on_cluster(cluster, on_tree(built("sgx_plugin/overlays/epc-register"), tree.root, arguments)) as installation:
        installation.wait_until_ready()
        node = cluster.get("node", cluster.node)
        assert node["metadata"]["labels"][CAPABLE] == "true"
        assert node["status"]["capacity"][EPC] == str(64 << 20)
        cluster.wait_for_gpus(capacity=64 << 20, allocatable=64 << 20, resource=EPC)
        cluster.wait_for_gpus(capacity=110, allocatable=110, resource="sgx.intel.com/enclave")
