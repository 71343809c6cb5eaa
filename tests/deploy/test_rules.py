"""The checks of manifests notice what they are there for."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from deploy.allowed import CAPABILITIES, HOST_PATHS, PRIVILEGED, TOKENS, UNCONFINED
from deploy.arguments import refusals
from deploy.rendering import KUSTOMIZE, Object
from deploy.rules import violations
from deploy.schemas import faults, foreign_faults
from deploy.tools import ROOT

Change = Callable[[Object, Object], object]  # of a pod's spec, and of its container


def plugin() -> Object:
    manifest = yaml.safe_load((KUSTOMIZE / "gpu_plugin/base/intel-gpu-plugin.yaml").read_text())
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] += ":1"
    return dict(manifest)


def changed(change: Change) -> list[Object]:
    manifest = deepcopy(plugin())
    spec = manifest["spec"]["template"]["spec"]
    change(spec, spec["containers"][0])
    return [manifest]


def with_token(spec: Object, container: Object) -> None:
    spec["serviceAccountName"] = "any"
    container["name"] = "container-of-another-name"
    spec["volumes"].append({"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}})
    container["volumeMounts"].append({"name": "token", "mountPath": "/token"})


def test_the_manifest_that_is_changed_below_is_sound(tmp_path: Path) -> None:
    assert violations([plugin()]) == faults([plugin()]) == refusals([plugin()], tmp_path) == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda _, c: c.update(image="intel/intel-gpu-plugin"), "its image intel/intel-gpu-plugin has no version"),
        (lambda _, c: c.update(image="host:5000/intel-gpu-plugin"), "has no version"),
        (lambda _, c: c.update(image="intel/intel-gpu-plugin:latest"), "has no version"),
        (lambda _, c: c["resources"]["limits"].pop("memory"), "it has no memory in its limits"),
        (lambda _, c: c["resources"]["requests"].pop("cpu"), "it has no cpu in its requests"),
        (lambda _, c: c["resources"]["limits"].update(memory="60Mi"), "less than twice what it needs"),
        (lambda _, c: c["securityContext"].update(privileged=True), "privileged without a reason"),
        (lambda _, c: c["securityContext"].pop("runAsUser"), "its user is left to the image"),
        (lambda _, c: c["securityContext"].pop("readOnlyRootFilesystem"), "write its root file system"),
        (lambda _, c: c["securityContext"].pop("allowPrivilegeEscalation"), "privilege escalation"),
        (lambda _, c: c["securityContext"].update(capabilities={}), "does not drop all capabilities"),
        (lambda _, c: c["securityContext"]["capabilities"].update(add=["SYS_ADMIN"]), "SYS_ADMIN without a reason"),
        (
            lambda _, c: c["securityContext"].update(appArmorProfile={"type": "Unconfined"}),
            "AppArmor profile of its own",
        ),
        (lambda _, c: c["securityContext"].pop("seccompProfile"), "no seccomp profile"),
        (lambda _, c: c.pop("livenessProbe"), "its livenessProbe asks None"),
        (lambda _, c: c["readinessProbe"]["httpGet"].update(port="http"), "its readinessProbe asks http"),
        (lambda _, c: c.pop("terminationMessagePath"), "terminationMessagePath is in the host's /dev"),
        (lambda _, c: c["volumeMounts"][0].pop("readOnly"), "hostPath /dev can be written by intel-gpu-plugin"),
        (lambda _, c: c["volumeMounts"][0].pop("recursiveReadOnly"), "such as /dev/shm"),
        (lambda _, c: c["volumeMounts"].pop(), "volumes and mounts differ: ['cdipath']"),
        (lambda s, _: s["volumes"][0].update(hostPath={"path": "/"}), "hostPath / has no reason"),
        (lambda s, _: s["volumes"][0]["hostPath"].pop("type"), "hostPath /dev has no type"),
        (lambda s, _: s.update(hostNetwork=True), "hostNetwork is on"),
        (lambda s, _: s.update(hostPID=True), "hostPID is on"),
        (lambda s, _: s.pop("automountServiceAccountToken"), "all its containers have a token"),
        (lambda s, _: s.update(serviceAccountName="any"), "not there together"),
        (with_token, "container-of-another-name has a token without a reason"),
    ],
)
def test_a_pod_that_has_more_than_it_needs_or_less_than_it_should_is_named(change: Change, text: str) -> None:
    found = violations(changed(change))
    assert any(text in line for line in found), found
    assert all(line.startswith("DaemonSet intel-gpu-plugin") for line in found)


@pytest.mark.parametrize("argument", ["--shared-dev-nun=3", "-shared-dev-num=0", "-allow-ids=56a0", "start"])
def test_an_argument_that_the_program_refuses_is_named(argument: str, tmp_path: Path) -> None:
    (line,) = refusals(changed(lambda _, c: c["args"].append(argument)), tmp_path)
    assert line.startswith("DaemonSet intel-gpu-plugin, container intel-gpu-plugin: ")


def test_a_variable_that_the_container_does_not_have_is_no_name_of_an_instance(tmp_path: Path) -> None:
    (line,) = refusals(changed(lambda _, c: c["args"].append("--instance=$(POD_UID)")), tmp_path)
    assert "'$(POD_UID)'" in line


@pytest.mark.parametrize(
    "change",
    [
        lambda _, c: c.update(volumeMount=[]),
        lambda s, _: s.update(nodeSelector=["gpu"]),
        lambda _, c: c["ports"][0].update(containerPort="9100"),
    ],
)
def test_what_an_api_server_refuses_is_named_for_each_version(change: Change) -> None:
    found = faults(changed(change))
    assert [line.partition(": ")[0] for line in found] == [
        "DaemonSet intel-gpu-plugin, 1.34",
        "DaemonSet intel-gpu-plugin, 1.37",
    ]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("monitoring.coreos.com/v1 PodMonitor", {"selector": {}, "endpoints": []}),  # a ServiceMonitor's
        ("monitoring.coreos.com/v1 ServiceMonitor", {"selector": {}, "endpoints": [{"honorLabels": "yes"}]}),
        (
            "monitoring.coreos.com/v1 PrometheusRule",
            {"groups": [{"name": "a", "rules": [{"alarm": "x", "expr": "1"}]}]},
        ),
        ("nfd.k8s-sigs.io/v1alpha1 NodeFeatureRule", {"rules": [{"name": "a", "label": {}}]}),
        ("monitoring.coreos.com/v2 PodMonitor", {"selector": {}}),
    ],
)
def test_what_another_project_does_not_know_is_named(kind: str, spec: Object) -> None:
    version, name = kind.split()
    (line,) = foreign_faults([{"apiVersion": version, "kind": name, "metadata": {"name": "changed"}, "spec": spec}])
    assert line.startswith(f"{name} changed: ")


def test_every_exception_is_explained_on_the_security_page() -> None:
    page = (ROOT / "docs/security.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("|")]

    for path in HOST_PATHS:
        assert any(f"`{path}`" in row for row in rows), path
    exceptions = [(*place, "privileged") for place in PRIVILEGED]
    exceptions += [(*place, "AppArmor") for place in UNCONFINED]
    exceptions += [(*place, "token") for place in TOKENS]
    exceptions += [(*place, capability) for place, found in CAPABILITIES.items() for capability in found]
    for exception in exceptions:
        assert any(all(word in row for word in exception) for row in rows), exception
