"""Our images in DaemonSets as the Go implementation documents them: its mounts, its limits, none of our flags.

`/sys` and the directories of device files are those of a simulated tree. What is offered names host paths that this
machine does not have, so no pod is run: the resource has to be there, and the plugin has to live with its limits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster.families import every_device
from cluster.installation import MARK, Loader, on_cluster
from cluster.live_kernel import LiveKernel, unconfigured
from cluster.machine import Cluster
from deploy.rendering import Object
from xpu_simulator.families.dlb.device import Dlb
from xpu_simulator.families.dlb.kernel import DlbKernel
from xpu_simulator.tree import SimulatedTree

pytestmark = pytest.mark.usefixtures("swept")


@dataclass(frozen=True)
class Documented:
    """What the Go implementation's documentation says of a DaemonSet."""

    family: str
    memory: str
    cpu: str
    directories: Sequence[str]  # of device files, below /dev
    resource: str
    devices: int  # that the simulated tree has


DOCUMENTED = [
    Documented("gpu", "90Mi", "100m", ["dri"], "gpu.intel.com/i915", 2),
    Documented("npu", "90Mi", "100m", ["accel"], "npu.intel.com/accel", 1),
    Documented("dsa", "50Mi", "100m", ["dsa", "char"], "dsa.intel.com/wq-user-dedicated", 6),
    Documented("iaa", "50Mi", "120m", ["iax", "char"], "iaa.intel.com/wq-user-dedicated", 2),
]


def daemon_set(documented: Documented, tree: Path) -> dict[str, Any]:
    name = f"intel-{documented.family}-plugin"
    kubelet = "/var/lib/kubelet/device-plugins"
    paths = {"sysfs": (f"{tree}/sys", "/sys"), "kubeletsockets": (kubelet, kubelet)}
    paths |= {f"dev-{below}": (f"{tree}/dev/{below}", f"/dev/{below}") for below in documented.directories}
    if documented.family == "gpu":
        paths["cdipath"] = ("/var/run/cdi", "/var/run/cdi")
    limits = {"memory": documented.memory, "cpu": documented.cpu}
    container = {
        "name": name,
        "image": f"intel/{name}:0.1.0",
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "securityContext": {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False},
        "resources": {"limits": limits, "requests": limits},
        "volumeMounts": [{"name": volume, "mountPath": inside} for volume, (_, inside) in paths.items()],
    }
    spec = {
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "containers": [container],
        "volumes": [{"name": volume, "hostPath": {"path": outside}} for volume, (outside, _) in paths.items()],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "labels": MARK},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
        },
    }


@pytest.mark.parametrize("documented", DOCUMENTED, ids=lambda documented: documented.family)
def test_our_image_in_the_others_daemonset_offers_the_same_within_its_limits(
    cluster: Cluster, load: Loader, tmp_path: Path, documented: Documented
) -> None:
    load(f"intel-{documented.family}-plugin")
    every_device(tmp_path / "node")
    for below in documented.directories:
        (tmp_path / "node/dev" / below).mkdir(exist_ok=True)
    with on_cluster(cluster, [daemon_set(documented, tmp_path / "node")]) as installation:
        installation.wait_until_ready()
        count = documented.devices
        cluster.wait_for_gpus(capacity=count, allocatable=count, resource=documented.resource)
        (pod,) = installation.pods()
        (status,) = pod["status"]["containerStatuses"]
        assert status["restartCount"] == 0


def init_container(image: str, paths: Mapping[str, str], **environment: str) -> dict[str, Any]:
    """As the Go implementation documents them: privileged, its root file system read-only.

    Args:
        paths: where it has volumes, by their names.
    """
    return {
        "name": image,
        "image": f"intel/{image}:0.1.0",
        "imagePullPolicy": "IfNotPresent",
        "env": [
            {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            *({"name": name, "value": value} for name, value in environment.items()),
        ],
        "securityContext": {"privileged": True, "readOnlyRootFilesystem": True},
        "volumeMounts": [
            # its own sysfs, in place of this machine's; and what the manifest mounts
            {"name": "sysfs", "mountPath": "/sys", "readOnly": True},
            *({"name": name, "mountPath": path} for name, path in paths.items()),
        ],
    }


def with_init_container(documented: Documented, tree: Path, image: str, *paths: str, **environment: str) -> Object:
    document = daemon_set(documented, tree)
    pod = document["spec"]["template"]["spec"]
    mounted = {f"init{number}": path for number, path in enumerate(paths)}
    pod["initContainers"] = [init_container(image, mounted, **environment)]
    pod["volumes"] += [{"name": name, "hostPath": {"path": f"{tree}{path}"}} for name, path in mounted.items()]
    return document


def test_our_init_container_in_the_others_daemonset_configures_queues(
    cluster: Cluster, load: Loader, tmp_path: Path
) -> None:
    load("intel-dsa-plugin", "intel-idxd-config-initcontainer")
    tree = SimulatedTree(tmp_path / "node")
    dsa = Documented("dsa", "50Mi", "100m", ["dsa", "char"], "dsa.intel.com/wq-user-dedicated", 8)
    kernel = unconfigured(tree)
    (tree.dev / "dsa").mkdir()
    document = with_init_container(
        dsa, tree.root, "intel-idxd-config-initcontainer", "/sys/bus/dsa", "/sys/devices", DEVICE_TYPE="dsa"
    )
    with LiveKernel(tree, kernel) as live, on_cluster(cluster, [document]) as installation:
        installation.wait_until_ready()
        assert live.refused == []
        assert "locks a directory instead" in installation.init_log()  # there is no /run/xpu
        cluster.wait_for_gpus(capacity=dsa.devices, allocatable=dsa.devices, resource=dsa.resource)


def test_our_init_container_in_the_others_daemonset_makes_a_virtual_function(
    cluster: Cluster, load: Loader, tmp_path: Path
) -> None:
    load("intel-dlb-plugin", "intel-dlb-initcontainer")
    tree = SimulatedTree(tmp_path / "node")
    kernel = DlbKernel(tree, [Dlb(pci_address="0000:7e:00.0")])
    dlb = Documented("dlb", "100Mi", "100m", [], "dlb.intel.com/vf", 1)  # whose limit has to be raised
    document = with_init_container(
        dlb, tree.root, "intel-dlb-initcontainer", "/sys/bus/pci/drivers/dlb2", "/sys/devices"
    )
    plugin = document["spec"]["template"]["spec"]["containers"][0]
    plugin["args"] = [f"--dev-root={tree.dev}"]  # it has all of /dev there, which here is the machine's
    plugin["volumeMounts"].append({"name": "dev", "mountPath": str(tree.dev)})
    document["spec"]["template"]["spec"]["volumes"].append({"name": "dev", "hostPath": {"path": str(tree.dev)}})
    with LiveKernel(tree, kernel) as live, on_cluster(cluster, [document]) as installation:
        installation.wait_until_ready()
        assert live.refused == []
        assert "locks a directory instead" in installation.init_log()  # there is no /run/xpu
        cluster.wait_for_gpus(capacity=1, allocatable=1, resource=dlb.resource)
