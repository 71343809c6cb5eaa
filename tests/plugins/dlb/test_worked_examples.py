"""A node with functions of all kinds and states, and what becomes of them."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from handmade_dlb import HandmadeDlb
from scans import device, ids, rejection
from xpu_plugins.dlb.plugin import DlbPlugin
from xpu_shared.allocation import compose
from xpu_shared.device import Allocation, DeviceNode, Health
from xpu_shared.program.logs import ROOT, fields_of

ADDRESSES = {2: "0000:7e:00.1", 9: "0000:7e:00.2", 11: "0000:7e:00.3"}
PF = "0000:7e:00.0"


@pytest.fixture
def node(dlb: HandmadeDlb) -> HandmadeDlb:
    dlb.pf(0, "0000:6e:00.0")
    dlb.pf(1, PF, vfs="3")
    for index, (number, address) in enumerate(ADDRESSES.items()):
        dlb.vf(number, address, index=index, domains="0" if number == 9 else "10")
    unreadable = dlb.function(4, "0000:8e:00.0")
    (unreadable / "sriov_numvfs").symlink_to("sriov_numvfs")
    (dlb.dev / "dlb_log").touch()
    return dlb


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO - 1, logger=ROOT)
    return caplog


def messages(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in log.records]


def test_what_is_offered(node: HandmadeDlb, log: pytest.LogCaptureFixture) -> None:
    result = node.scan()

    assert ids(result) == {"pf": ["/dev/dlb0"], "vf": ["/dev/dlb2", "/dev/dlb9", "/dev/dlb11"]}
    assert [device.health is Health.HEALTHY for device in result.devices["vf"]] == [True, False, True]
    assert device(result, "/dev/dlb9").reason == "no resources assigned"
    assert rejection(result, "dlb1").expected
    assert not rejection(result, "dlb4").expected
    assert rejection(result, "dlb_log").expected
    assert messages(log) == ["pf 1, vf 3 (1 unhealthy)"]


def test_the_count_is_said_once_per_change(node: HandmadeDlb, log: pytest.LogCaptureFixture) -> None:
    plugin = DlbPlugin(node.settings())
    plugin.scan()
    plugin.scan()
    node.remove(9)
    plugin.scan()

    assert messages(log) == ["pf 1, vf 3 (1 unhealthy)", "pf 1, vf 2"]


def allocated(node: HandmadeDlb, wanted: Sequence[str], **choices: object) -> Allocation:
    plugin = DlbPlugin(node.settings(**choices))
    result = plugin.scan()
    composed = compose("dlb.intel.com/vf", [device(result, id_) for id_ in wanted])
    return plugin.prepare("vf", wanted, composed)


def test_what_a_container_of_two_is_given(node: HandmadeDlb) -> None:
    allocation = allocated(node, ["/dev/dlb11", "/dev/dlb2"])

    assert allocation == Allocation(
        nodes=tuple(
            DeviceNode(host_path=path, container_path=path, permissions="rw") for path in ("/dev/dlb11", "/dev/dlb2")
        )
    )


def test_variables_name_the_devices_by_number(node: HandmadeDlb) -> None:
    allocation = allocated(node, ["/dev/dlb11", "/dev/dlb2"], inject_env=True)

    assert allocation.envs == {
        "DLB_DEVICE0": "/dev/dlb2",
        "DLB_DEVICE0_ID": "2",
        "DLB_DEVICE0_BDF": "0000:7e:00.1",
        "DLB_DEVICE0_NUMA": "1",
        "DLB_DEVICE1": "/dev/dlb11",
        "DLB_DEVICE1_ID": "11",
        "DLB_DEVICE1_BDF": "0000:7e:00.3",
        "DLB_DEVICE1_NUMA": "1",
    }
    assert [file.host_path for file in allocation.nodes] == ["/dev/dlb11", "/dev/dlb2"]


def test_containers_can_count_from_zero(node: HandmadeDlb) -> None:
    allocation = allocated(node, ["/dev/dlb11", "/dev/dlb2"], inject_env=True, container_numbering="dense")

    assert [(file.host_path, file.container_path) for file in allocation.nodes] == [
        ("/dev/dlb11", "/dev/dlb1"),
        ("/dev/dlb2", "/dev/dlb0"),
    ]
    assert (allocation.envs["DLB_DEVICE1"], allocation.envs["DLB_DEVICE1_ID"]) == ("/dev/dlb1", "1")


def test_ids_by_pci_address_have_the_same_files(node: HandmadeDlb) -> None:
    allocation = allocated(node, ["0000:7e:00.3", "0000:7e:00.1"], device_id="bdf")

    assert [file.host_path for file in allocation.nodes] == ["/dev/dlb11", "/dev/dlb2"]


def test_the_numa_node_is_that_of_the_pci_function(node: HandmadeDlb) -> None:
    assert device(node.scan(), "/dev/dlb11").numa_nodes == (1,)


def test_a_function_with_a_new_number_is_paired_by_its_address(
    node: HandmadeDlb, log: pytest.LogCaptureFixture
) -> None:
    plugin = DlbPlugin(node.settings())
    plugin.scan()
    node.remove(11)
    directory = node.directory(ADDRESSES[11])
    (directory / "dlb2/dlb11").rename(directory / "dlb2/dlb3")
    (node.sysfs / "class/dlb2/dlb3").symlink_to(directory / "dlb2/dlb3")
    (node.dev / "dlb3").touch()

    assert ids(plugin.scan())["vf"] == ["/dev/dlb2", "/dev/dlb3", "/dev/dlb9"]
    renumbered = [record for record in log.records if record.getMessage() == "a function has a new number"]
    assert [fields_of(record) for record in renumbered] == [{"function": "0000:7e:00.3", "was": "dlb11", "now": "dlb3"}]


def test_the_table_of_discover_says_why_a_function_is_unhealthy(
    node: HandmadeDlb, capsys: pytest.CaptureFixture[str]
) -> None:
    from xpu_plugins.dlb.__main__ import main

    assert main(["discover", f"--sysfs-root={node.sysfs}", f"--dev-root={node.dev}"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    assert "dlb.intel.com/pf /dev/dlb0 Healthy 1 dlb0" in lines
    assert "dlb.intel.com/vf /dev/dlb11 Healthy 1 dlb11" in lines
    assert "/dev/dlb9 no resources assigned" in lines
    assert "dlb1 it has 3 virtual functions, which are offered instead" in lines


def test_nothing_of_the_tree_is_written(node: HandmadeDlb, tmp_path: Path) -> None:
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    node.scan(inject_env=True)

    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before
