"""The chart renders for what people choose, to the same pods as kustomize; and refuses what cannot be together."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.arguments import refusals
from deploy.pods import pods
from deploy.rendering import CHART, NAMESPACE, CannotRenderError, Object, built, templated
from deploy.rules import violations
from deploy.schemas import FOREIGN, faults, foreign_faults
from deploy.tools import ROOT

Values = dict[str, Any]

FAMILIES = ("gpu", "dsa", "iaa", "dlb", "sgx", "npu")
ALL: Values = {f"{family}.enabled": True for family in FAMILIES}
SIDECAR: Values = {"levelZeroSidecar.enabled": True}
HEALTH: Values = {**SIDECAR, "gpu.health.enabled": True}
DAEMONSET: Values = {**SIDECAR, "levelZeroSidecar.form": "daemonset"}
AGENT: Values = {"gpu.enabled": False, "nodeAgent.enabled": True}
WATCHED: Values = {"monitoring.enabled": True, "networkPolicy.enabled": True}
EVERYTHING: Values = {**ALL, **HEALTH, **WATCHED, "nodeFeatureRules.enabled": True}
PEER = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
ONLY: dict[str, Values] = {family: {"gpu.enabled": False, f"{family}.enabled": True} for family in FAMILIES}

LINKS: Values = {"gpu.allocationPolicy": "topology", "xelinkSidecar.enabled": True}
PROVISIONED: Values = {"provisioning.enabled": True} | {f"{family}.enabled": True for family in ("dsa", "iaa", "dlb")}

MATRIX: dict[str, Values] = {
    "default": {},
    "all families": ALL,
    "everything": EVERYTHING,
    "node agent": AGENT,
    "node agent beside a plugin": {**AGENT, "nodeAgent.config": {"families": ["dsa", "iaa"]}, "gpu.enabled": True},
    "node agent with health": {
        **AGENT,
        **DAEMONSET,
        **WATCHED,
        "nodeAgent.config": {"families": "auto", "gpu": {"enable-monitoring": True, "health-management": True}},
    },
    "surge": {**ALL, "pods.surge": True},
    "sidecar without health": SIDECAR,
    "health in one pod": HEALTH,
    "health by a daemonset": {**DAEMONSET, "gpu.health.enabled": True},
    "labels by NFD": {**HEALTH, "levelZeroSidecar.labels": "nfd"},
    "labels in one pod": {**HEALTH, **WATCHED, "levelZeroSidecar.labels": "node"},
    "labels by a daemonset": {**DAEMONSET, **WATCHED, "levelZeroSidecar.labels": "node"},
    "events": {**ALL, **WATCHED, "pods.events": True},
    "events and labels in one pod": {**HEALTH, **WATCHED, "levelZeroSidecar.labels": "node", "pods.events": True},
    "events of the node agent": {**AGENT, "pods.events": True},
    "links": LINKS,
    "links, labels and health": {
        **LINKS,
        **HEALTH,
        **WATCHED,
        "levelZeroSidecar.labels": "node",
        "xelinkSidecar.labels": "node",
    },
    "links of fabric ports": {**LINKS, **HEALTH, **WATCHED, "xelinkSidecar.source": "native"},
    "links without labels": {**LINKS, **DAEMONSET, "xelinkSidecar.labels": "none"},
    "provisioning": PROVISIONED,
    "provisioning by files": {
        **PROVISIONED,
        "dsa.driver": "vfio-pci",
        "provisioning.onBusy": "fail",
        "provisioning.dsa.config": {"dsa.conf": "[]", "dsa-node-1.yaml": "devices: []"},
        "provisioning.iaa.config": {"iaa.conf": "[]"},
        "provisioning.dlb.args": ["--pf=all", "--num-vfs=4", "--resources=equal"],
    },
    "enclave memory": {**ONLY["sgx"], **WATCHED, "provisioning.enabled": True, "provisioning.sgxEpc": True},
    "health by xpumd": {"gpu.health.xpumdSocket": "/run/xpumd/intelxpuinfo.sock"},
    "wsl": {**SIDECAR, "gpu.wsl": True},
    "shared and chosen": {
        "gpu.sharedDevNum": 30,
        "gpu.allocationPolicy": "packed",
        "gpu.allowIds": ["0x56c0", "0xe20b"],
        "gpu.bypath": "all",
        "gpu.monitoring": True,
        "gpu.monitoringMode": "split",
        "gpu.logLevel": 4,
        "gpu.args": ["--lost-device-retention=1h"],
    },
    "denied": {"gpu.denyIds": ["0x4680"], "npu.enabled": True, "npu.denyIds": ["0x7d1d"], "npu.cdi": True},
    "npu": {**ONLY["npu"], "npu.sharedDevNum": 4, "npu.allowIds": ["0x643e"]},
    "queues": {"dsa.enabled": True, "iaa.enabled": True, "dsa.sharedDevNum": 10, "iaa.sharedDevNum": 3},
    "vfio": {"dsa.enabled": True, "dsa.driver": "vfio-pci"},
    "sgx": {**ONLY["sgx"], "sgx.enclaveLimit": 0, "sgx.provisionLimit": 20, "sgx.dcapInfraResources": True},
    "placement": {
        **ALL,
        **DAEMONSET,
        "pods.priorityClassName": "",
        "pods.tolerations": [{"operator": "Exists"}],
        "pods.annotations": {"a": "b"},
        "pods.logFormat": "json",
        "gpu.nodeSelector": {"intel.feature.node.kubernetes.io/gpu": "true"},
        "gpu.tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "image.pullSecrets": ["registry"],
        "image.pullPolicy": "Never",
    },
    "registry": {**EVERYTHING, "image.registry": "registry.example.com", "image.repository": "", "image.tag": "9"},
    "service monitors": {**EVERYTHING, "monitoring.monitor": "service", "monitoring.labels": {"release": "prometheus"}},
    "policies": {**ALL, **WATCHED, "networkPolicy.from": [PEER]},
    "nothing": {"gpu.enabled": False},
}


@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)
def test_it_renders_and_is_sound(values: Values, tmp_path: Path) -> None:
    objects = templated(values)

    assert faults(objects) == []
    assert violations(objects) == []
    assert refusals(objects, tmp_path) == []
    assert len({(one["kind"], one["metadata"]["name"]) for one in objects}) == len(objects)
    elsewhere = {one["kind"] for one in objects if one["metadata"].get("namespace", NAMESPACE) != NAMESPACE}
    assert elsewhere <= {"Role", "RoleBinding"}  # for Events on nodes, which are in the namespace default


def test_objects_of_other_projects_are_what_these_know() -> None:
    objects = [one for values in MATRIX.values() for one in templated(values) if one["kind"] in FOREIGN]

    assert {one["kind"] for one in objects} == FOREIGN
    assert foreign_faults(objects) == []


REFUSED: list[tuple[Values, str]] = [
    ({"gpu.shared": 2}, "additional properties 'shared' not allowed"),
    ({"fpga.enabled": True}, "additional properties 'fpga' not allowed"),
    ({"gpu.sharedDevNum": 0}, "minimum"),
    ({"gpu.allowIds": ["56a0"]}, "does not match pattern"),
    ({"image.tag": "latest"}, "/image/tag"),
    ({"gpu.resources.limits.memory": None}, "missing property 'memory'"),
    ({"gpu.allowIds": ["0x56a0"], "gpu.denyIds": ["0x56a1"]}, "gpu.allowIds and gpu.denyIds"),
    ({"npu.allowIds": ["0x56a0"], "npu.denyIds": ["0x56a1"]}, "npu.allowIds and npu.denyIds"),
    ({"gpu.health.enabled": True}, "gpu.health.enabled needs levelZeroSidecar.enabled"),
    ({**SIDECAR, "gpu.health.xpumdSocket": "/run/xpumd/x.sock"}, "only one source of health"),
    ({"gpu.wsl": True}, "gpu.wsl needs levelZeroSidecar.enabled"),
    ({**HEALTH, "gpu.wsl": True}, "no health within WSL"),
    ({**SIDECAR, "gpu.enabled": False}, "levelZeroSidecar.form=pod needs gpu.enabled"),
    ({**DAEMONSET, "gpu.enabled": False}, "levelZeroSidecar.enabled needs gpu.enabled or nodeAgent.enabled"),
    ({**DAEMONSET, "gpu.monitoringMode": "split"}, "needs gpu.monitoringMode=single"),
    ({"provisioning.enabled": True}, "provisioning.enabled needs dsa.enabled, iaa.enabled or dlb.enabled"),
    ({"provisioning.dsa.config": {"dsa.txt": ""}}, "dsa.txt"),
    ({"xelinkSidecar.enabled": True, "gpu.enabled": False}, "xelinkSidecar.enabled needs gpu.enabled"),
    ({**LINKS, "xelinkSidecar.source": "xpumd"}, "/xelinkSidecar/source"),
    ({**LINKS, **DAEMONSET, "xelinkSidecar.source": "native"}, "both ask for gpu.intel.com/monitoring"),
    (
        {**LINKS, "xelinkSidecar.source": "native", "gpu.monitoringMode": "split"},
        "xelinkSidecar.source=native needs gpu.monitoringMode=single",
    ),
    ({"nodeAgent.enabled": True}, "nodeAgent.enabled and gpu.enabled"),
    ({**AGENT, "dsa.enabled": True, "nodeAgent.config": {"families": "dsa,iaa"}}, "nodeAgent.enabled and dsa.enabled"),
]


@pytest.mark.parametrize(("values", "text"), REFUSED, ids=[text for _, text in REFUSED])
def test_what_cannot_be_is_refused_with_what_to_do(values: Values, text: str) -> None:
    with pytest.raises(CannotRenderError) as refusal:
        templated(values)
    assert text in str(refusal.value)


def test_surge_is_refused_for_kubelets_that_keep_one_connection() -> None:
    with pytest.raises(
        CannotRenderError, match=r"pods\.surge needs kubelets from 1\.37 on, and this cluster is v1\.36"
    ):
        templated({"pods.surge": True}, kubernetes="1.36.4")


def pod_specs(objects: tuple[Object, ...]) -> dict[str, Object]:
    """DaemonSets by name. Lists without a meaningful order are sorted; names of ConfigMaps, which differ, are one."""
    specs = {}
    for one in objects:
        if one["kind"] == "DaemonSet":
            spec = one["spec"]
            pod = spec["template"]["spec"]
            spec["template"]["metadata"].pop("annotations", None)
            pod["volumes"] = sorted(pod["volumes"], key=lambda volume: str(volume["name"]))
            for container in (*pod["containers"], *pod.get("initContainers", [])):
                container["volumeMounts"] = sorted(container["volumeMounts"], key=lambda mount: str(mount["name"]))
                container["args"] = sorted(container.get("args", []))
            for volume in pod["volumes"]:
                if "configMap" in volume:
                    volume["configMap"]["name"] = "any"
            specs[one["metadata"]["name"]] = spec
    return specs


NFD: Values = {"gpu.nodeSelector": {"intel.feature.node.kubernetes.io/gpu": "true"}}
PAIR: Values = {**NFD, **DAEMONSET, "gpu.health.enabled": True, "gpu.logLevel": 2}
SAME: list[tuple[str, Values]] = [
    *((f"{family}_plugin", values) for family, values in ONLY.items()),
    ("node_agent", AGENT),
    ("node_agent/overlays/surge", {**AGENT, "pods.surge": True}),
    ("gpu_plugin/overlays/surge", {"pods.surge": True}),
    ("gpu_plugin/overlays/nfd_labeled_nodes", {**NFD, "gpu.monitoring": True, "gpu.logLevel": 2}),
    (
        "gpu_plugin/overlays/monitoring_shared-dev_nfd",
        {**NFD, "gpu.monitoring": True, "gpu.logLevel": 2, "gpu.sharedDevNum": 30},
    ),
    ("gpu_plugin/overlays/levelzero", SIDECAR),
    ("gpu_plugin/overlays/health", HEALTH),
    ("gpu_plugin/overlays/wsl", {**SIDECAR, "gpu.wsl": True}),
    (
        "gpu_plugin/overlays/xpumd",
        {"gpu.health.xpumdSocket": "/run/xpumd/intelxpuinfo.sock", "gpu.monitoring": True},
    ),
    ("level_zero_sidecar/overlays/gpu_plugin", PAIR),
    ("gpu_plugin/overlays/xelink", {**NFD, **LINKS, "gpu.monitoring": True, "gpu.logLevel": 2}),
    (
        "gpu_plugin/overlays/xelink-native",
        {**NFD, **LINKS, "xelinkSidecar.source": "native", "gpu.logLevel": 2},
    ),
    ("gpu_plugin/overlays/events", {**HEALTH, "pods.events": True}),
    ("dlb_plugin/overlays/dlb_initcontainer", {**ONLY["dlb"], "provisioning.enabled": True}),
    ("sgx_plugin/overlays/epc-register", MATRIX["enclave memory"]),
    ("level_zero_sidecar/overlays/labels-nfd", {**PAIR, "levelZeroSidecar.labels": "nfd"}),
    ("level_zero_sidecar/overlays/labels-node", {**PAIR, "levelZeroSidecar.labels": "node"}),
]


@pytest.mark.parametrize(("directory", "values"), SAME, ids=[directory for directory, _ in SAME])
def test_the_chart_runs_the_same_pods_as_kustomize(directory: str, values: Values) -> None:
    assert pod_specs(templated(values)) == pod_specs(built(directory))


def test_the_rules_for_node_features_are_those_of_kustomize() -> None:
    rules = {one["metadata"]["name"]: one["spec"] for one in templated({"nodeFeatureRules.enabled": True})}
    shipped = {one["metadata"]["name"]: one["spec"] for one in built("nfd/overlays/node-feature-rules")}
    openshift = templated({"nodeFeatureRules.enabled": True, "nodeFeatureRules.apiVersion": "nfd.openshift.io/v1"})

    assert shipped.items() <= rules.items()
    assert [one["apiVersion"] for one in openshift if one["kind"] == "NodeFeatureRule"] == ["nfd.openshift.io/v1"] * 2


@pytest.mark.parametrize("case", ["everything", "service monitors", "node agent with health"])
def test_monitors_and_policies_reach_every_metrics_port_and_no_other(case: str) -> None:
    objects = templated({**MATRIX[case], "networkPolicy.from": [PEER]})
    running = [pod for pod in pods(objects) if pod.owner.startswith("DaemonSet")]
    ports = {
        (pod.labels["app"], port["name"], port["containerPort"])
        for pod in running
        for container in pod.containers
        for port in container.fields["ports"]
    }
    monitors = [one for one in objects if one["kind"] in ("PodMonitor", "ServiceMonitor")]
    endpoints = {
        (one["spec"]["selector"]["matchLabels"]["app"], endpoint["port"])
        for one in monitors
        for endpoint in one["spec"].get("podMetricsEndpoints") or one["spec"]["endpoints"]
    }
    policies = {
        (one["spec"]["podSelector"]["matchLabels"]["app"], port["port"])
        for one in objects
        if one["kind"] == "NetworkPolicy"
        for rule in one["spec"]["ingress"]
        for port in rule["ports"]
    }

    assert endpoints == {(app, name) for app, name, _ in ports}
    assert policies == {(app, number) for app, _, number in ports}
    for one in objects:
        if one["kind"] == "Service":
            app = one["spec"]["selector"]["app"]
            assert one["metadata"]["labels"]["app"] == app  # by which the ServiceMonitor finds it
            assert {(app, p["targetPort"], p["port"]) for p in one["spec"]["ports"]} <= ports


def test_labels_of_what_holds_a_device_are_kept_when_prometheus_reads_them() -> None:
    monitors = [one for one in templated(EVERYTHING) if one["kind"] == "PodMonitor"]
    assert all(endpoint["honorLabels"] for one in monitors for endpoint in one["spec"]["podMetricsEndpoints"])


@pytest.mark.parametrize("form", ["pod", "daemonset"])
def test_only_the_sidecar_that_labels_its_node_reaches_the_api_server(form: str) -> None:
    objects = templated({**ALL, **WATCHED, **SIDECAR, "levelZeroSidecar.form": form, "levelZeroSidecar.labels": "node"})
    allowed = [one["metadata"]["name"] for one in objects if one["kind"] == "NetworkPolicy" and "egress" in one["spec"]]
    (pod,) = (pod for pod in pods(objects) if "serviceAccountName" in pod.spec)
    holders = [container.name for container in pod.containers if "api-token" in container.mounts]

    assert allowed == [pod.owner.removeprefix("DaemonSet ")]
    assert holders == ["intel-gpu-levelzero"]


def test_the_policy_on_labels_speaks_of_the_releases_service_account() -> None:
    objects = templated({**HEALTH, "levelZeroSidecar.labels": "node"})
    (policy,) = (one for one in objects if one["kind"] == "ValidatingAdmissionPolicy")
    (account,) = (one for one in objects if one["kind"] == "ServiceAccount")
    (shipped,) = (
        one for one in built("level_zero_sidecar/overlays/labels-node") if one["kind"] == "ValidatingAdmissionPolicy"
    )

    name = f"system:serviceaccount:{NAMESPACE}:{account['metadata']['name']}"
    assert name in policy["spec"]["matchConditions"][0]["expression"]
    assert policy["spec"] == shipped["spec"]


def test_the_policy_on_enclave_memory_speaks_of_the_releases_service_account() -> None:
    (policy,) = (one for one in templated(MATRIX["enclave memory"]) if one["kind"] == "ValidatingAdmissionPolicy")
    expression = policy["spec"]["matchConditions"][0]["expression"]
    assert expression == f'request.userInfo.username == "system:serviceaccount:{NAMESPACE}:sgx-plugin"'


def test_dashboards_and_alerts_are_those_of_the_repository() -> None:
    objects = {one["metadata"]["name"]: one for one in templated({**WATCHED, "monitoring.labels": {"release": "p"}})}
    rules, dashboard = objects["xpu-alerts"], objects["xpu-accelerators-dashboard"]

    assert rules["spec"] == yaml.safe_load((ROOT / "deploy/prometheus/xpu-alerts.yaml").read_text())
    assert rules["metadata"]["labels"]["release"] == "p"
    assert dashboard["data"] == {"xpu-accelerators.json": (ROOT / "deploy/grafana/xpu-accelerators.json").read_text()}
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_a_plugin_that_reads_from_two_sidecars_is_told_of_both() -> None:
    for values, endpoint in (
        (HEALTH, "/var/lib/levelzero/xpu/level-zero.sock"),
        (DAEMONSET, "/run/xpu/level-zero.sock"),
    ):
        (pod,) = (pod for pod in pods(templated({**LINKS, **values})) if pod.owner == "DaemonSet intel-gpu-plugin")
        told = [text for text in pod.containers[0].fields["args"] if text.startswith("--telemetry=")]
        assert told == [f"--telemetry=ipc://{endpoint}", "--telemetry=ipc:///run/xpu/xelink.sock"]


def test_without_peers_a_policy_lets_nothing_in_and_never_anything_out() -> None:
    policies = [one["spec"] for one in templated({**ALL, **WATCHED}) if one["kind"] == "NetworkPolicy"]
    assert len(policies) == len(FAMILIES)
    assert all(policy["policyTypes"] == ["Ingress", "Egress"] for policy in policies)
    assert all("ingress" not in policy and "egress" not in policy for policy in policies)


def test_helm_test_asks_for_a_device_of_each_plugin() -> None:
    asked = {
        resource
        for pod in pods(templated({**ALL, "gpu.test.resource": "gpu.intel.com/xe"}))
        if pod.owner.startswith("Pod")
        for resource in pod.containers[0].fields["resources"]["limits"]
    }
    assert asked - {"cpu", "memory"} == {
        "gpu.intel.com/xe",
        "dsa.intel.com/wq-user-dedicated",
        "iaa.intel.com/wq-user-dedicated",
        "dlb.intel.com/pf",
        "sgx.intel.com/enclave",
        "npu.intel.com/accel",
    }


def test_a_kubelet_elsewhere_is_found_and_the_plugin_sees_it_in_its_usual_place() -> None:
    kubelet = "/var/lib/k0s/kubelet"
    (pod,) = (pod for pod in pods(templated({"pods.kubeletDir": kubelet})) if pod.owner.startswith("DaemonSet"))

    assert pod.volumes["kubeletsockets"]["hostPath"]["path"] == f"{kubelet}/device-plugins"
    assert pod.volumes["podresources"]["hostPath"]["path"] == f"{kubelet}/pod-resources"
    assert pod.containers[0].mounts["kubeletsockets"]["mountPath"] == "/var/lib/kubelet/device-plugins"


def test_the_chart_has_the_projects_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["name"], chart["version"], chart["appVersion"]) == ("xpu-device-plugins", version, version)


def test_only_the_gpu_plugin_is_on_by_default() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert [name for name, section in values.items() if section.get("enabled")] == ["gpu"]


def test_every_value_is_in_the_schema_and_nothing_else_is_taken() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    assert set(values) == set(schema["properties"]) - {"global"}
    assert schema["additionalProperties"] is False
    for name, section in values.items():
        assert schema["properties"][name]["additionalProperties"] is False
        assert set(section) == set(schema["properties"][name]["properties"])
