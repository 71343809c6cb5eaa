"""Our images in DaemonSets as the Go implementation documents them: its mounts, its limits, none of our flags.

`/sys` and the directories of device files are those of a simulated tree. What is offered names host paths that this
machine does not have, so no pod is run: the resource has to be there, and the plugin has to live with its limits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster.families import every_device
from cluster.installation import MARK, Loader, on_cluster
from cluster.machine import Cluster

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
