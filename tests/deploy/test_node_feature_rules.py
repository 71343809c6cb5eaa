"""Labels that the NodeFeatureRules give a node, and that the plugins know the same devices."""

import re
from pathlib import Path

import pytest
import yaml

from deploy.nfd import Given, NodeFacts, evaluated
from deploy.rendering import KUSTOMIZE, Object
from xpu_plugins.dlb.function import PHYSICAL_IDS
from xpu_plugins.dsa.vfio import DSA_IDS
from xpu_plugins.npu.accelerator import PCI_IDS as NPU_IDS
from xpu_simulator.families.gpu.models import MODELS

FILES = ("intel-dp-devices.yaml", "intel-gpu-platform-labeling.yaml")
FEATURE = "intel.feature.node.kubernetes.io"
GPU = "gpu.intel.com"


def rules() -> dict[str, Object]:
    directory = KUSTOMIZE / "nfd/overlays/node-feature-rules"
    documents = [yaml.safe_load((directory / name).read_text()) for name in FILES]
    assert [(one["apiVersion"], one["kind"]) for one in documents] == [
        ("nfd.k8s-sigs.io/v1alpha1", "NodeFeatureRule")
    ] * 2
    return {rule["name"]: rule for one in documents for rule in one["spec"]["rules"]}


def pci(text: str) -> list[dict[str, str]]:
    """Devices such as `8086:56c0 class 0380 x2`, as NFD describes them."""
    found = []
    for vendor, device, pci_class, number in re.findall(r"(\w{4}):(\w{4}) class (\w{4})(?: x(\d))?", text):
        found += [{"vendor": vendor, "device": device, "class": pci_class}] * int(number or 1)
    return found


def given(facts: NodeFacts, tmp_path: Path) -> Given:
    return evaluated(list(rules().values()), facts, tmp_path)


def loaded(*modules: str) -> dict[str, frozenset[str]]:
    return {"kernel.loadedmodule": frozenset(modules), "kernel.enabledmodule": frozenset(modules)}


def test_a_node_with_several_kinds_gets_a_label_for_each(tmp_path: Path) -> None:
    facts = NodeFacts(
        pci=pci(
            "8086:4944 class 0b40, 8086:0b25 class 0880 x3, 8086:56a5 class 0300, 8086:56c0 class 0380 x2, "
            "10de:2330 class 0302"
        ),
        flags={
            "kernel.loadedmodule": frozenset({"intel_qat", "idxd", "xe"}),
            "kernel.enabledmodule": frozenset({"intel_qat", "idxd", "xe", "vfio-pci"}),
            "cpu.cpuid": frozenset({"SGX"}),
        },
        attributes={"cpu.security": {"sgx.enabled": "true", "sgx.epc": "4096"}, "kernel.config": {"X86_SGX": "y"}},
    )

    found = given(facts, tmp_path)

    assert found.labels == {
        f"{FEATURE}/qat": "true",
        f"{FEATURE}/dsa": "true",
        f"{FEATURE}/gpu": "true",
        f"{GPU}/device-id.0300-56a5.present": "true",
        f"{GPU}/device-id.0380-56c0.present": "true",
        f"{GPU}/device-id.0300-56a5.count": "1",
        f"{GPU}/device-id.0380-56c0.count": "2",
        f"{GPU}/family": "A_Series",  # has room for one family only
        f"{GPU}/family.A_Series.present": "true",
        f"{GPU}/family.Flex_Series.present": "true",
        f"{GPU}/product": "Flex_170",
        f"{GPU}/product.Flex_170.count": "2",
        f"{GPU}/device.count": "2",
    }
    assert found.resources == {}


def test_ids_of_one_class_are_counted_apart(tmp_path: Path) -> None:
    facts = NodeFacts(
        pci=pci("8086:56c0 class 0380, 8086:56c1 class 0380 x4, 8086:56c0 class 0380"), flags=loaded("i915")
    )

    labels = given(facts, tmp_path).labels

    assert labels[f"{GPU}/device-id.0380-56c0.count"] == labels[f"{GPU}/product.Flex_170.count"] == "2"
    assert labels[f"{GPU}/device-id.0380-56c1.count"] == labels[f"{GPU}/product.Flex_140.count"] == "4"


def test_sgx_needs_flexible_launch_control_and_tells_the_memory_of_enclaves(tmp_path: Path) -> None:
    facts = NodeFacts(
        flags={"cpu.cpuid": frozenset({"SGX", "SGXLC"})},
        attributes={"cpu.security": {"sgx.enabled": "true", "sgx.epc": "98041856"}, "kernel.config": {"X86_SGX": "y"}},
    )
    found = given(facts, tmp_path)
    assert found.labels == {f"{FEATURE}/sgx": "true"}
    assert found.resources == {"sgx.intel.com/epc": "98041856"}


@pytest.mark.parametrize(
    ("devices", "modules", "label"),
    [
        ("8086:2710 class 0b40", "dlb2", "dlb"),
        ("8086:2714 class 0b40", "dlb2", "dlb"),
        ("8086:0b25 class 0880", "idxd", "dsa"),
        ("8086:0cfe class 0880", "idxd", "iaa"),
        ("8086:1216 class 0880", "idxd", "iaa"),
        ("8086:643e class 1200", "intel_vpu", "npu"),
        ("8086:09c4 class 1200", "dfl_pci", "fpga-arria10"),
        ("8086:09c4 class 1200", "intel_fpga_pci", "fpga-arria10"),
        ("8086:4948 class 0b40", "intel_qat vfio_pci", "qat"),
        ("8086:e20b class 0300", "xe", "gpu"),
        ("8086:4680 class 0300", "i915", "gpu"),
    ],
)
def test_a_kind_is_there_when_its_device_and_its_driver_are(
    devices: str, modules: str, label: str, tmp_path: Path
) -> None:
    key = f"{FEATURE}/{label}"
    foreign = devices.replace("8086", "1af4")
    other = devices.replace("class 0", "class f").replace("class 1", "class f")

    assert given(NodeFacts(pci=pci(devices), flags=loaded(*modules.split())), tmp_path / "1").labels[key] == "true"
    for number, (text, driver) in enumerate(((devices, "ast"), (foreign, modules), (other, modules)), 2):
        labels = given(NodeFacts(pci=pci(text), flags=loaded(*driver.split())), tmp_path / str(number)).labels
        assert key not in labels


def ids(rule: str) -> set[int]:
    (term,) = (term for term in rules()[rule]["matchFeatures"] if term["feature"] == "pci.device")
    return {int(text, base=16) for text in term["matchExpressions"]["device"]["value"]}


def test_the_rules_know_the_devices_that_the_plugins_know() -> None:
    assert ids("intel.dlb") == set(PHYSICAL_IDS)
    assert ids("intel.dsa") == {int(text, base=16) for text in DSA_IDS}
    assert ids("intel.npu") == set(NPU_IDS)


def test_every_discrete_gpu_that_can_be_simulated_is_of_a_family() -> None:
    families = set().union(*(ids(rule) for rule in rules() if rule.endswith(".series")))
    discrete = {name: model.pci_id for name, model in MODELS.items() if not model.integrated and name != "dg1"}
    assert {name for name, pci_id in discrete.items() if pci_id not in families} == set()


def test_names_of_labels_fit_what_kubernetes_takes() -> None:
    keys = {key for rule in rules().values() for key in rule.get("labels", {})}
    assert all(re.fullmatch(r"[a-z.]+\.(com|io)/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", key) for key in keys)
