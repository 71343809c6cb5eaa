"""The program beside a kubelet: what it is told, what containers are given, and how it follows the hardware."""

import os
import stat
from pathlib import Path

import grpc
import pytest

from handmade_npus import HandmadeNpus
from programs import program

ACCEL = "npu.intel.com/accel"
MODULE = "xpu_plugins.npu"
ONLY_EVENTS = "--rescan-interval=24h"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


def answer(name: str) -> dict[str, object]:
    path = f"/dev/accel/{name}"
    node = {"host_path": path, "container_path": path, "permissions": "rw"}
    return {"envs": {}, "annotations": {}, "mounts": [], "cdi_devices": [], "devices": [node]}


async def test_the_worked_example(npus: HandmadeNpus, tmp_path: Path) -> None:
    npus.add("accel0", attributes={"device": "0xb03e"})
    npus.add("accel1", attributes={"vendor": "0x17cb", "device": "0xa100"})
    npus.add("accel2", file=False)
    npus.add("accel10", attributes={"device": "0xd71d"})
    async with program(MODULE, tmp_path, "-shared-dev-num", "2") as node:
        listed = await node.wait_for(ACCEL, 4)
        assert sorted(listed.devices) == ["accel0-0", "accel0-1", "accel10-0", "accel10-1"]
        assert not any(device.numa_nodes or device.empty_topology for device in listed.devices.values())

        answers = await node.allocate(ACCEL, ["accel10-1"], ["accel0-0", "accel0-1"])
        assert answers == [answer("accel10"), answer("accel0")]
        assert await node.can(ACCEL) == (False, False)

        with pytest.raises(grpc.aio.AioRpcError, match="accel2-0"):
            await node.allocate(ACCEL, ["accel2-0"])
        assert await node.allocate(ACCEL, ["accel0-0"]) == [answer("accel0")]


async def test_scan_after_scan(npus: HandmadeNpus, tmp_path: Path) -> None:
    """NPUs come and go; with no retention what has gone leaves the list, as from the reference."""
    async with program(MODULE, tmp_path, ONLY_EVENTS, "--lost-device-retention=0") as node:
        await node.says("starts")
        assert not node.kubelet.registrations

        npus.add("accel0")
        await node.wait_for(ACCEL, 1)
        lists = node.kubelet.resources[ACCEL].lists
        node.tell("change", "accel")
        npus.add("accel1")
        node.tell("add", "accel")
        await node.wait_for(ACCEL, 2)
        assert node.kubelet.resources[ACCEL].lists == lists + 1

        npus.remove("accel0")
        npus.remove("accel1")
        node.tell("remove", "pci")
        await node.wait_for(ACCEL, 0)
        npus.add("accel1")
        node.tell("add", "accel")
        listed = await node.wait_for(ACCEL, 1)
        assert list(listed.devices) == ["accel1-0"]


async def test_an_npu_that_goes_is_refused_by_name_and_others_are_not(npus: HandmadeNpus, tmp_path: Path) -> None:
    npus.add("accel0")
    npus.add("accel1")
    async with program(MODULE, tmp_path, ONLY_EVENTS) as node:
        await node.wait_for(ACCEL, 2)
        npus.remove("accel1")
        await node.wait_for(ACCEL, 1, listed=2)

        with pytest.raises(grpc.aio.AioRpcError, match="'accel1-0' is unhealthy: the device is no longer there"):
            await node.allocate(ACCEL, ["accel1-0"])
        assert await node.allocate(ACCEL, ["accel0-0"]) == [answer("accel0")]


async def test_an_npu_that_its_driver_resets_is_not_given_out_for_a_while(npus: HandmadeNpus, tmp_path: Path) -> None:
    npus.add("accel0")
    async with program(MODULE, tmp_path, ONLY_EVENTS, "--reset-hold-off=500ms") as node:
        await node.wait_for(ACCEL, 1)
        node.tell("change", "pci", devpath="/devices/pci0000:00/0000:00:0b.0", IVPU_PM_EVENT="IVPU_RECOVER")

        await node.wait_for(ACCEL, 0, listed=1)
        await node.wait_for(ACCEL, 1)


async def test_a_driver_that_is_loaded_later_is_found(npus: HandmadeNpus, tmp_path: Path) -> None:
    npus.accel.rmdir()
    (npus.dev / "accel").rmdir()
    async with program(MODULE, tmp_path, ONLY_EVENTS) as node:
        assert "class/accel: it does not exist" in await node.says("problem")
        npus.accel.mkdir()
        npus.add("accel0")

        await node.wait_for(ACCEL, 1)


async def test_cdi_files_are_there_from_the_first_scan_on(npus: HandmadeNpus, tmp_path: Path) -> None:
    npus.add("accel0")
    async with program(MODULE, tmp_path, "-cdi") as node:
        await node.wait_for(ACCEL, 1)
        assert (tmp_path / "cdi/intel.cdi.k8s.io-npu-accel0.yaml").exists()
        (given,) = await node.allocate(ACCEL, ["accel0-0"])

        assert given["cdi_devices"] == [{"name": "intel.cdi.k8s.io/npu=accel0"}]


def test_a_number_of_shares_out_of_range_ends_it_as_the_reference_does(capsys: pytest.CaptureFixture[str]) -> None:
    from xpu_plugins.npu.__main__ import main

    assert main(["-shared-dev-num=0"]) == 1
    assert capsys.readouterr().err.endswith("--shared-dev-num: expected an integer from 1 to 1000, found '0'\n")


@needs_root
async def test_with_trees_mounted_over_the_real_ones_no_option_is_needed(npus: HandmadeNpus, tmp_path: Path) -> None:
    npus.add("accel0", file=False)
    os.mknod(npus.dev / "accel/accel0", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    npus.add("accel1")  # with a regular file, which on a real /dev is none of a device
    async with program(MODULE, tmp_path, default_roots=True) as node:
        await node.wait_for(ACCEL, 1)

        assert await node.allocate(ACCEL, ["accel0-0"]) == [answer("accel0")]


@pytest.mark.parametrize("flag", ["-prefix=x", "-shared-dev-num=two", "-allow-ids=1", "-enable-monitoring"])
def test_a_bad_flag_ends_it_with_one_line(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    from xpu_plugins.npu.__main__ import main

    assert main([flag]) == 2
    assert flag.removeprefix("-").partition("=")[0] in capsys.readouterr().err


def test_discover_says_what_is_offered_and_what_not(npus: HandmadeNpus, capsys: pytest.CaptureFixture[str]) -> None:
    from xpu_plugins.npu.__main__ import main

    npus.add("accel0")
    npus.add("accel1", attributes={"vendor": "0x17cb"})
    assert main(["discover", f"-prefix={npus.root}", "-shared-dev-num=3"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    assert lines[1] == "npu.intel.com/accel accel0-0 .. accel0-2 Healthy - accel/accel0 -"
    assert lines[-1] == "accel1 its vendor is 0x17cb, not Intel (0x8086)"
