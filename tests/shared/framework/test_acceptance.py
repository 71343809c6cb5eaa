from dataclasses import replace
from pathlib import Path

import pytest

from xpu_shared.acceptance import accept, endpoint_name, resource_name_violation
from xpu_shared.device import CdiDevice, Device, ScanResult

SOCKETS = [Path("/var/lib/kubelet/device-plugins")]


def accepted(*devices: Device, device_type: str = "vf", namespace: str = "dlb.intel.com") -> ScanResult:
    return accept(namespace, ScanResult(devices={device_type: devices}), SOCKETS)


@pytest.mark.parametrize("name", ["dlb.intel.com/vf", "a/b", "dsa.intel.com/wq-user-shared", "x.y/A_b.c-D"])
def test_good_resource_names(name: str) -> None:
    assert resource_name_violation(name) is None


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("vf", "'/'"),
        ("kubernetes.io/vf", "Kubernetes' own"),
        ("x.kubernetes.io/vf", "Kubernetes' own"),
        ("requests.x/vf", "Kubernetes' own"),
        ("DLB.intel.com/vf", "subdomain"),
        ("dlb..com/vf", "subdomain"),
        ("-dlb.com/vf", "subdomain"),
        ("a" * 245 + "/vf", "subdomain"),
        ("dlb.intel.com/", "after '/'"),
        ("dlb.intel.com/-vf", "after '/'"),
        ("dlb.intel.com/v f", "after '/'"),
        ("dlb.intel.com/" + "v" * 64, "after '/'"),
        ("dlb.intel.com/a/b", "after '/'"),
        ("dlb.intel.com/vf\n", "after '/'"),
    ],
)
def test_bad_resource_names_name_the_rule(name: str, rule: str) -> None:
    violation = resource_name_violation(name)

    assert violation is not None
    assert rule in violation


def test_a_type_with_a_bad_name_costs_only_itself() -> None:
    scan = ScanResult(devices={"vfio pci": [Device(id="a")], "vf": [Device(id="b")]})
    result = accept("dlb.intel.com", scan, SOCKETS)

    assert list(result.devices) == ["vf"]
    (problem,) = result.problems
    assert problem.subject == "dlb.intel.com/vfio pci"
    assert problem.rejected


def test_a_socket_path_that_is_too_long_names_path_and_length() -> None:
    namespace = "a" * 60 + ".intel.com"
    result = accepted(Device(id="a"), namespace=namespace)

    assert result.devices == {}
    assert f"{SOCKETS[0]}/{namespace}-vf.sock has 110 bytes" in result.problems[0].text


def test_of_two_devices_with_one_id_the_first_stays() -> None:
    result = accepted(Device(id="a", envs={"N": "1"}), Device(id="a", envs={"N": "2"}))

    assert [device.envs for device in result.devices["vf"]] == [{"N": "1"}]
    assert "'a'" in result.problems[0].subject


@pytest.mark.parametrize("id_", ["", "x" * 64, "a\nb", "a\0", "é", "\ud800"])
def test_a_bad_id_costs_only_its_device(id_: str) -> None:
    result = accepted(Device(id=id_), Device(id="x" * 63))

    assert [device.id for device in result.devices["vf"]] == ["x" * 63]
    assert result.problems[0].rejected


@pytest.mark.parametrize(
    ("kind", "name"), [("intel", "a"), ("intel.com/", "a"), ("1ntel.com/x", "a"), ("intel.com/x", "-a"), ("a/b", "a/b")]
)
def test_a_device_with_a_bad_cdi_name_is_rejected_with_the_rule(kind: str, name: str) -> None:
    result = accepted(Device(id="a", cdi=CdiDevice(kind=kind, name=name)))

    assert result.devices == {"vf": ()}
    assert "expected" in result.problems[0].text


def test_numa_nodes_are_sorted_distinct_and_within_the_kubelets_mask() -> None:
    device = Device(id="a", numa_nodes=(64, 1, 0, 1, -2))
    result = accepted(device)

    assert result.devices["vf"] == (replace(device, numa_nodes=(0, 1)),)
    assert "64" in result.problems[0].text


def test_endpoints_are_counted_when_the_plain_one_is_taken() -> None:
    assert endpoint_name("dlb.intel.com", "vf") == "dlb.intel.com-vf.sock"
    assert endpoint_name("dlb.intel.com", "vf", instance="7f3a", number=2) == "dlb.intel.com-vf-7f3a-2.sock"
    assert endpoint_name("dlb.intel.com", "vf", number=2) == "dlb.intel.com-vf-2.sock"
