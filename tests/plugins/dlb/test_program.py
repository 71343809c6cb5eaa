"""The program beside a kubelet: what it is told, what containers are given, and how it follows the hardware."""

import os
import shutil
from pathlib import Path

import pytest

from handmade_dlb import PF_ADDRESS, HandmadeDlb
from programs import program

PF, VF = "dlb.intel.com/pf", "dlb.intel.com/vf"
MODULE = "xpu_plugins.dlb"
ONLY_EVENTS = "--rescan-interval=24h"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


def enable(dlb: HandmadeDlb, count: int) -> None:
    """Turn dlb0 into virtual functions dlb1, dlb2, …"""
    (dlb.directory(PF_ADDRESS) / "sriov_numvfs").write_text(f"{count}\n")
    for index in range(count):
        dlb.vf(index + 1, f"0000:7e:00.{index + 1}", index=index)


def disable(dlb: HandmadeDlb, count: int) -> None:
    for index in range(count):
        dlb.remove(index + 1)
        shutil.rmtree(dlb.directory(f"0000:7e:00.{index + 1}"))
    (dlb.directory(PF_ADDRESS) / "sriov_numvfs").write_text("0\n")


async def test_functions_that_become_virtual_and_physical_again(dlb: HandmadeDlb, tmp_path: Path) -> None:
    dlb.pf(0)
    async with program(MODULE, tmp_path, ONLY_EVENTS) as node:
        await node.wait_for(PF, 1)

        enable(dlb, 2)
        node.tell("add", "dlb2")
        await node.wait_for(VF, 2)
        await node.wait_for(PF, 0, listed=1)

        disable(dlb, 2)
        node.tell("remove", "pci")
        await node.wait_for(PF, 1)
        await node.wait_for(VF, 0, listed=2)


async def test_a_pod_is_given_the_files_of_its_functions(dlb: HandmadeDlb, tmp_path: Path) -> None:
    dlb.pf(0, vfs="2")
    enable(dlb, 2)
    async with program(MODULE, tmp_path) as node:
        await node.wait_for(VF, 2)
        devices = node.kubelet.resources[VF].devices
        pod = await node.kubelet.admit("pod", {VF: 2})

        assert sorted(devices) == ["/dev/dlb1", "/dev/dlb2"]
        assert {device.numa_nodes for device in devices.values()} == {(1,)}
        assert sorted((node.host_path, node.permissions) for node in pod.given.nodes) == [
            ("/dev/dlb1", "rw"),
            ("/dev/dlb2", "rw"),
        ]
        assert not pod.given.cdi_names
        assert PF not in node.kubelet.resources


async def test_answers_are_in_the_order_of_the_request(dlb: HandmadeDlb, tmp_path: Path) -> None:
    dlb.pf(0, vfs="2")
    enable(dlb, 2)
    async with program(MODULE, tmp_path, "-inject-env") as node:
        await node.wait_for(VF, 2)
        (answer,) = await node.allocate(VF, ["/dev/dlb2", "/dev/dlb1"])

        assert answer["devices"] == [
            {"host_path": path, "container_path": path, "permissions": "rw"} for path in ("/dev/dlb2", "/dev/dlb1")
        ]
        assert answer["envs"] == {
            "DLB_DEVICE0": "/dev/dlb1",
            "DLB_DEVICE0_BDF": "0000:7e:00.1",
            "DLB_DEVICE0_ID": "1",
            "DLB_DEVICE0_NUMA": "1",
            "DLB_DEVICE1": "/dev/dlb2",
            "DLB_DEVICE1_BDF": "0000:7e:00.2",
            "DLB_DEVICE1_ID": "2",
            "DLB_DEVICE1_NUMA": "1",
        }


async def test_it_prefers_nothing_and_needs_no_step_before_a_start(dlb: HandmadeDlb, tmp_path: Path) -> None:
    dlb.pf(0)
    async with program(MODULE, tmp_path) as node:
        await node.wait_for(PF, 1)
        can = await node.can(PF)

        assert can == (False, False)


async def test_a_module_that_is_unloaded_leaves_unhealthy_functions(dlb: HandmadeDlb, tmp_path: Path) -> None:
    dlb.pf(0)
    async with program(MODULE, tmp_path, ONLY_EVENTS) as node:
        await node.wait_for(PF, 1)
        dlb.remove(0)
        (dlb.sysfs / "class/dlb2").rmdir()
        node.tell("remove", "dlb2")

        await node.wait_for(PF, 0, listed=1)


async def test_a_file_that_comes_late_is_found_without_an_event(dlb: HandmadeDlb, tmp_path: Path) -> None:
    dlb.pf(0)
    dlb.function(1, "0000:7e:00.1", file=False)
    async with program(MODULE, tmp_path, ONLY_EVENTS) as node:
        await node.wait_for(PF, 1)
        (dlb.dev / "dlb1").touch()

        await node.wait_for(VF, 1)


@needs_root
async def test_with_trees_mounted_over_the_real_ones_no_option_is_needed(dlb: HandmadeDlb, tmp_path: Path) -> None:
    (dlb.pf(0) / "dlb2/dlb0/dev").write_text("123:0\n")
    dlb.device_file(0, 123, 0)
    dlb.function(1, "0000:7e:00.1")  # with a regular file, which on a real /dev is none of a device
    async with program(MODULE, tmp_path, default_roots=True) as node:
        await node.wait_for(PF, 1)
        (given,) = await node.allocate(PF, ["/dev/dlb0"])

        assert given["devices"] == [{"host_path": "/dev/dlb0", "container_path": "/dev/dlb0", "permissions": "rw"}]
        assert VF not in node.kubelet.resources


@pytest.mark.parametrize("flag", ["-classify=bdf", "-pf-with-vfs=", "-device-id=name", "-container-numbering=2", "-x"])
def test_a_bad_flag_ends_it_with_one_line(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    from xpu_plugins.dlb.__main__ import main

    assert main([flag]) == 2
    assert flag.removeprefix("-").partition("=")[0] in capsys.readouterr().err
