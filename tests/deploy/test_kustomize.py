"""Every kustomization can be applied as it is: it builds offline, and what it builds is sound."""

import tomllib
from pathlib import Path

import pytest
import yaml

from deploy.arguments import refusals
from deploy.pods import pods
from deploy.rendering import KUSTOMIZE, built, kustomizations
from deploy.rules import violations
from deploy.schemas import faults, foreign_faults
from deploy.tools import ROOT

# What other people's commands name; these directories stay.
PUBLIC = [
    "dlb_plugin",
    "dlb_plugin/base",
    "dlb_plugin/overlays/dlb_initcontainer",
    "dsa_plugin",
    "dsa_plugin/base",
    "dsa_plugin/overlays/dsa_initcontainer",
    "dsa_plugin/overlays/dsa_vfio_initcontainer",
    "gpu_plugin",
    "gpu_plugin/base",
    "gpu_plugin/overlays/allowlist-arc",
    "gpu_plugin/overlays/health",
    "gpu_plugin/overlays/levelzero",
    "gpu_plugin/overlays/monitoring_shared-dev_nfd",
    "gpu_plugin/overlays/nfd_labeled_nodes",
    "gpu_plugin/overlays/wsl",
    "gpu_plugin/overlays/xelink",
    "gpu_plugin/overlays/xelink-native",
    "gpu_plugin/overlays/xpumd",
    "iaa_plugin",
    "iaa_plugin/base",
    "iaa_plugin/overlays/iaa_initcontainer",
    "level_zero_sidecar",
    "nfd/overlays/node-feature-rules",
    "node_agent",
    "npu_plugin",
    "npu_plugin/base",
    "npu_plugin/overlays/nfd_labeled_nodes",
    "sgx_plugin",
    "sgx_plugin/base",
    "sgx_plugin/overlays/epc-nfd",
    "sgx_plugin/overlays/epc-register",
    "xpumanager_sidecar",
    "xpumanager_sidecar/overlays/native",
]


def test_the_public_directories_are_there() -> None:
    assert set(PUBLIC) <= set(kustomizations())


def test_the_rules_for_node_features_are_what_nfd_knows() -> None:
    objects = built("nfd/overlays/node-feature-rules")
    assert {one["kind"] for one in objects} == {"NodeFeatureRule"}
    assert foreign_faults(objects) == []


@pytest.mark.parametrize("directory", kustomizations())
def test_it_builds_and_is_sound(directory: str, tmp_path: Path) -> None:
    objects = built(directory)

    assert objects
    assert faults(objects) == []
    assert violations(objects) == []
    assert refusals(objects, tmp_path) == []


def test_every_image_has_the_projects_version_from_the_one_place_that_names_it() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    place = yaml.safe_load((KUSTOMIZE / "components/images/kustomization.yaml").read_text())
    named = {image["name"]: image["newTag"] for image in place["images"]}
    used = {
        container.fields["image"]
        for directory in kustomizations()
        for pod in pods(built(directory))
        for container in pod.containers
    }

    assert set(named.values()) == {version}
    assert used == {f"{name}:{version}" for name in named}


@pytest.mark.parametrize("family", ["dlb", "dsa", "gpu", "iaa", "npu", "sgx"])
def test_names_and_labels_are_those_of_the_plugins_that_ours_replace(family: str) -> None:
    (one,) = built(f"{family}_plugin")
    name = f"intel-{family}-plugin"

    assert (one["kind"], one["metadata"]["name"]) == ("DaemonSet", name)
    assert one["spec"]["selector"]["matchLabels"] == one["spec"]["template"]["metadata"]["labels"] == {"app": name}
    (pod,) = pods([one])
    assert [(container.name, container.image) for container in pod.containers] == [(name, name)]
    assert pod.spec["nodeSelector"] == {"kubernetes.io/arch": "amd64"}


def arguments(directory: str, container: int = 0) -> list[str]:
    (pod,) = pods(one for one in built(directory) if one["kind"] == "DaemonSet")
    return list(pod.containers[container].fields["args"])


def test_the_overlays_of_the_gpu_plugin_add_their_flags() -> None:
    metrics = "--metrics-address=:9100"
    telemetry = "--telemetry=ipc:///var/lib/levelzero/xpu/level-zero.sock"
    overlays = "gpu_plugin/overlays"

    assert arguments(f"{overlays}/nfd_labeled_nodes") == [metrics, "-enable-monitoring", "-v=2"]
    assert arguments(f"{overlays}/monitoring_shared-dev_nfd") == [
        metrics,
        "-shared-dev-num=30",
        "-enable-monitoring",
        "-v=2",
    ]
    assert arguments(f"{overlays}/health") == [metrics, telemetry, "-health-management"]
    assert arguments(f"{overlays}/levelzero") == [metrics, telemetry, "--health-management=false"]
    assert arguments(f"{overlays}/wsl") == [metrics, telemetry, "-wsl"]
    assert arguments(f"{overlays}/wsl", 1)[-1] == "-wsl"
    assert arguments(f"{overlays}/xpumd")[1:] == ["-xpumd-endpoint=/run/xpumd/intelxpuinfo.sock", "-enable-monitoring"]
    assert arguments(f"{overlays}/allowlist-arc")[2].count("0x") == 23


@pytest.mark.parametrize(
    ("directory", "label"),
    [
        ("gpu_plugin/overlays/nfd_labeled_nodes", "gpu"),
        ("gpu_plugin/overlays/monitoring_shared-dev_nfd", "gpu"),
        ("npu_plugin/overlays/nfd_labeled_nodes", "npu"),
        ("sgx_plugin/overlays/epc-nfd", "sgx"),
    ],
)
def test_a_label_of_nfd_is_asked_for_beside_the_architecture(directory: str, label: str) -> None:
    (pod,) = pods(built(directory))
    assert pod.spec["nodeSelector"] == {
        "kubernetes.io/arch": "amd64",
        f"intel.feature.node.kubernetes.io/{label}": "true",
    }


@pytest.mark.parametrize("directory", ["gpu_plugin/overlays/health", "level_zero_sidecar/overlays/gpu_plugin"])
def test_the_sidecar_publishes_where_the_plugin_listens_in_a_directory_that_both_mount(directory: str) -> None:
    containers = {container.name: (pod, container) for pod in pods(built(directory)) for container in pod.containers}
    (plugin_pod, plugin), (sidecar_pod, sidecar) = containers["intel-gpu-plugin"], containers["intel-gpu-levelzero"]
    (publish,) = (text for text in sidecar.fields["args"] if text.startswith("--publish="))
    socket = publish.removeprefix("--publish=ipc://")
    listens = [text for text in plugin.fields["args"] if text.startswith("--telemetry=")]

    assert listens == [f"--telemetry=ipc://{socket}"]
    (shared,) = (name for name, mount in sidecar.mounts.items() if socket.startswith(f"{mount['mountPath']}/"))
    assert plugin.mounts[shared]["mountPath"] == sidecar.mounts[shared]["mountPath"]
    assert plugin_pod.volumes[shared] == sidecar_pod.volumes[shared]
    if "emptyDir" in sidecar_pod.volumes[shared]:  # open to everyone: the sidecar makes a directory of its own below
        assert Path(socket).parent != Path(sidecar.mounts[shared]["mountPath"])


def test_with_surge_the_new_pod_comes_first_and_is_told_apart() -> None:
    for directory in ("gpu_plugin/overlays/surge", "node_agent/overlays/surge"):
        (one,) = (one for one in built(directory) if one["kind"] == "DaemonSet")
        assert one["spec"]["updateStrategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        assert arguments(directory)[-1] == "--instance=$(POD_UID)"
