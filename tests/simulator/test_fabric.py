"""Fabrics of simulated nodes: shapes, links one by one, faults, and how library and XPU Manager tell of them."""

import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError

from level_zero import Scenario, scenario
from xpu_shared.telemetry.fabric import PortStatus
from xpu_shared.telemetry.kinds import Group
from xpu_sidecars.level_zero.device import SampledDevice
from xpu_sidecars.xelink.ports import joined
from xpu_sidecars.xelink.xpum import reading_of
from xpu_sidecars.xelink.xpum_links import LabelRules
from xpu_simulator.errors import UnknownDeviceError
from xpu_simulator.fabric.description import End
from xpu_simulator.fabric.xpu_manager import XpuManager
from xpu_simulator.level_zero.build import compile_library
from xpu_simulator.node import Node
from xpu_simulator.scenario import RunPod
from xpu_simulator.simulated_node import SimulatedNode


def node(fabric: object, count: int = 8, model: str = "max-1100") -> Node:
    return Node.model_validate({"gpus": [{"model": model}] * count, "fabric": fabric})


def pairs(node: Node) -> set[tuple[int, int]]:
    return {(int(joint.a.gpu[3:]), int(joint.b.gpu[3:])) for joint in node.joints}


@pytest.mark.parametrize(
    ("fabric", "expected"),
    [
        ("ring", {(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (0, 7)}),
        ("cube", {(0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (2, 3), (2, 6), (3, 7), (4, 5), (4, 6), (5, 7), (6, 7)}),
        ("islands", {(a, b) for a in range(8) for b in range(a + 1, 8) if a // 4 == b // 4}),
        ({"shape": "islands", "size": 2}, {(0, 1), (2, 3), (4, 5), (6, 7)}),
        ("mesh", {(a, b) for a in range(8) for b in range(a + 1, 8)}),
    ],
)
def test_shapes(fabric: object, expected: set[tuple[int, int]]) -> None:
    assert pairs(node(fabric)) == expected


@pytest.mark.parametrize("shape", ["mesh", "ring", "cube", "islands"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_small_nodes_have_no_link_twice_and_none_to_itself(shape: str, count: int) -> None:
    found = [frozenset((joint.a, joint.b)) for joint in node(shape, count).joints]
    assert len(set(found)) == len(found)
    assert all(len(pair) == 2 for pair in found)


def test_equal_tiles_are_linked() -> None:
    assert [(str(joint.a), str(joint.b), joint.lanes) for joint in node("mesh", 2, "max-1550").joints] == [
        ("gpu0.0", "gpu1.0", 4),
        ("gpu0.1", "gpu1.1", 4),
    ]


def test_links_one_by_one() -> None:
    found = node(["gpu0.0 gpu3.0", {"between": ["gpu1.0", "gpu2.0"], "lanes": 8}]).joints
    assert [(str(joint.a), str(joint.b), joint.lanes) for joint in found] == [
        ("gpu0.0", "gpu3.0", 4),
        ("gpu1.0", "gpu2.0", 8),
    ]


@pytest.mark.parametrize(
    ("fabric", "message"),
    [
        ("star", "'mesh', 'ring', 'cube' or 'islands'"),
        (["gpu0.0"], "between"),
        (["gpu0 gpu1.0"], "expected a GPU's name and tile such as gpu0.1, found 'gpu0'"),
        (["gpu0.0 gpu9.0"], "there is no gpu9.0; there are gpu0.0, gpu1.0"),
        (["gpu0.0 gpu1.1"], "there is no gpu1.1"),
        (["gpu0.0 gpu0.0"], "gpu0.0 and gpu0.0 are the same"),
        (["gpu0.0 gpu1.0", "gpu1.0 gpu0.0"], "gpu1.0 and gpu0.0 are linked twice"),
        ([{"between": ["gpu0.0", "gpu1.0"], "lanes": 0}], "lanes"),
        ({"shape": "islands", "size": 1}, "size"),
    ],
)
def test_a_fabric_that_cannot_be(fabric: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        node(fabric, 2)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_library(tmp_path_factory.mktemp("stub"))


@pytest.fixture
def library(compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scenario:
    return scenario(compiled, tmp_path, monkeypatch)


def links_by_library(running: SimulatedNode, library: Scenario) -> Sequence[tuple[str, int, str, int, int]]:
    """As the XeLink sidecar finds them: the scenario file of the node, read by the real calls."""
    library.path.write_text((running.library.path.parent / "scenario").read_text())
    opened = library.open()
    devices = library.identities(opened)
    readings = [SampledDevice(opened, handles, 1.0, (Group.FABRIC,)).round(0.0) for handles in devices.values()]
    ports = [port for reading in readings for port in reading.fabric_ports]
    assert all(port.status in (PortStatus.HEALTHY, PortStatus.FAILED, PortStatus.DEGRADED) for port in ports)
    found = joined(ports, {address: place for place, address in enumerate(devices)}, accept_degraded=False)
    return [(link.a.pci_address, link.a.tile, link.b.pci_address, link.b.tile, link.lanes) for link in found.links]


def links_by_page(running: SimulatedNode) -> Sequence[tuple[str, int, str, int, int]]:
    found = reading_of(running.xpu_manager_page().encode(), LabelRules())
    assert set(found.errors) == set()
    return sorted(
        (link.a.pci_address, link.a.tile, link.b.pci_address, link.b.tile, link.lanes) for link in found.links
    )


@pytest.mark.parametrize("model", ["max-1100", "max-1550"])
@pytest.mark.parametrize("fabric", ["mesh", "ring", "cube", "islands"])
def test_library_and_page_tell_of_the_same_links(fabric: str, model: str, tmp_path: Path, library: Scenario) -> None:
    running = SimulatedNode(node(fabric, 8, model), tmp_path / "node")
    by_library = links_by_library(running, library)

    assert sorted(by_library) == links_by_page(running)
    assert len(by_library) == len(node(fabric, 8, model).joints)


def test_links_break_get_worse_and_come_back(tmp_path: Path, library: Scenario) -> None:
    running = SimulatedNode(node("mesh", 3), tmp_path / "node")
    assert len(links_by_library(running, library)) == 3
    a, b = End("gpu0", 0), End("gpu1", 0)
    for state, count in (("down", 2), ("degraded", 2), ("up", 3)):
        running.fault_link(b, a, state)  # type: ignore[arg-type]  # states by name
        assert len(links_by_library(running, library)) == count
        assert len(links_by_page(running)) == count


def test_a_gpu_that_is_pulled_out_takes_its_links_with_it(tmp_path: Path, library: Scenario) -> None:
    running = SimulatedNode(node("mesh", 3), tmp_path / "node")
    running.remove("gpu1")
    assert len(links_by_library(running, library)) == 1
    assert len(links_by_page(running)) == 1
    running.add("gpu1")
    assert len(links_by_page(running)) == 3


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (End("gpu0"), End("gpu2"), r"there is no link gpu0.0 gpu2.0; gpu0.0 is linked with gpu1.0"),
        (End("gpu0", 7), End("gpu1"), r"gpu0.7 has no links"),
        (End("gpu9"), End("gpu1"), r"no device 'gpu9'"),
    ],
)
def test_a_link_that_is_not_there(a: End, b: End, message: str, tmp_path: Path) -> None:
    running = SimulatedNode(node(["gpu0.0 gpu1.0"], 3), tmp_path / "node")
    with pytest.raises(UnknownDeviceError, match=message):
        running.fault_link(a, b, "down")


def test_the_page_is_served_to_those_with_the_token(tmp_path: Path) -> None:
    running = SimulatedNode(node("mesh", 2), tmp_path / "node")
    server = XpuManager(running.xpu_manager_page, token="t")
    try:
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            urllib.request.urlopen(server.url, timeout=5)
        refused.value.close()
        request = urllib.request.Request(server.url, headers={"Authorization": "Bearer t"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            text = answer.read().decode()
    finally:
        server.close()
    assert text == running.xpu_manager_page()
    lines = text.splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert samples == sorted(samples)
    assert lines[-1].startswith("xpum_topology_link{")
    assert not text.endswith("\n")


def test_the_page_is_served_by_https(tmp_path: Path) -> None:
    ca, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    trusting: Any = ssl.create_default_context()
    ca.configure_trust(trusting)
    server = XpuManager(lambda: "a 1", tls=context)
    try:
        assert server.url.startswith("https://")
        with urllib.request.urlopen(server.url, timeout=5, context=trusting) as answer:
            assert answer.read() == b"a 1"
    finally:
        server.close()


def test_a_pod_may_be_expected_to_get_certain_devices() -> None:
    with pytest.raises(ValidationError, match="gets nothing"):
        RunPod.model_validate({"name": "p", "resources": {"a.b/c": 1}, "rejected": True, "gets": ["x"]})
