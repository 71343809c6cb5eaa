"""The program beside a kubelet: what it is told, what containers are given, and how it follows the files."""

import os
from pathlib import Path

import grpc
import pytest

from handmade_sgx import HandmadeSgx, make_device_files
from programs import program

ENCLAVE, PROVISION = "sgx.intel.com/enclave", "sgx.intel.com/provision"
QE, REGISTRATION = "sgx.intel.com/qe", "sgx.intel.com/registration"
MODULE = "xpu_plugins.sgx"
ONLY_EVENTS = "--rescan-interval=24h"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
LIMITS = ("-enclave-limit", "3", "-provision-limit", "2")
BOTH_FILES = [
    {"host_path": path, "container_path": path, "permissions": "rw"}
    for path in ("/dev/sgx_enclave", "/dev/sgx_provision")
]


async def test_the_worked_example(sgx: HandmadeSgx, tmp_path: Path) -> None:
    async with program(MODULE, tmp_path, *LIMITS, "-dcap-infra-resources") as node:
        for resource, count in ((ENCLAVE, 3), (PROVISION, 2), (QE, 1), (REGISTRATION, 1)):
            await node.wait_for(resource, count)
        listed = node.kubelet.resources[ENCLAVE].devices.values()
        assert not any(device.numa_nodes or device.empty_topology for device in listed)

        assert await node.allocate(REGISTRATION, ["registration-1"]) == [
            {
                "envs": {},
                "annotations": {},
                "mounts": [],
                "devices": BOTH_FILES,
                "cdi_devices": [{"name": "intel.cdi.k8s.io/sgx=efivarfs"}],
            }
        ]
        file = tmp_path / "cdi/intel.cdi.k8s.io-sgx-efivarfs.yaml"
        assert file.stat().st_mode & 0o777 == 0o644

        with pytest.raises(grpc.aio.AioRpcError, match="sgx-enclave-7"):
            await node.allocate(ENCLAVE, ["sgx-enclave-7"])
        answers = await node.allocate(ENCLAVE, ["sgx-enclave-2", "sgx-enclave-0"])
        assert [answer["devices"] for answer in answers] == [BOTH_FILES[:1]]


async def test_one_file_is_not_enough_and_the_other_is_found_without_an_event(sgx: HandmadeSgx, tmp_path: Path) -> None:
    (sgx.dev / "sgx_provision").unlink()
    async with program(MODULE, tmp_path, *LIMITS, ONLY_EVENTS, "-enclave-limit=1") as node:
        assert f"{sgx.dev}/sgx_provision: it does not exist" in await node.says("problem")
        assert not node.kubelet.registrations
        (sgx.dev / "sgx_provision").touch()
        await node.wait_for(ENCLAVE, 1)
        await node.wait_for(PROVISION, 2)

        (sgx.dev / "sgx_enclave").unlink()
        await node.wait_for(ENCLAVE, 0, listed=0)
        await node.wait_for(PROVISION, 0, listed=0)
        (sgx.dev / "sgx_enclave").touch()
        await node.wait_for(ENCLAVE, 1)


async def test_a_cdi_file_that_cannot_be_written_fails_the_allocation_and_names_it(
    sgx: HandmadeSgx, tmp_path: Path
) -> None:
    (tmp_path / "cdi").touch()
    async with program(MODULE, tmp_path, *LIMITS, "-dcap-infra-resources") as node:
        await node.wait_for(REGISTRATION, 1)
        with pytest.raises(grpc.aio.AioRpcError, match=r"cdi/intel.cdi.k8s.io-sgx-efivarfs.yaml: File exists"):
            await node.allocate(REGISTRATION, ["registration-1"])
        await node.allocate(QE, ["qe-1"])


async def test_a_foreign_cdi_file_of_the_name_is_replaced(sgx: HandmadeSgx, tmp_path: Path) -> None:
    file = tmp_path / "cdi/intel.cdi.k8s.io-sgx-efivarfs.yaml"
    file.parent.mkdir()
    file.write_text("cdiVersion: 0.3.0\nkind: intel.cdi.k8s.io/sgx\ndevices: []\n")
    async with program(MODULE, tmp_path, *LIMITS, "-dcap-infra-resources") as node:
        await node.wait_for(REGISTRATION, 1)
        await node.allocate(REGISTRATION, ["registration-1"])

        assert "type: efivarfs" in file.read_text()


async def test_calls_that_ask_for_nothing_or_for_one_twice(sgx: HandmadeSgx, tmp_path: Path) -> None:
    async with program(MODULE, tmp_path, *LIMITS) as node:
        await node.wait_for(ENCLAVE, 3)

        assert await node.allocate(ENCLAVE) == []
        nothing, twice = await node.allocate(ENCLAVE, [], ["sgx-enclave-1", "sgx-enclave-1"])
        assert nothing["devices"] == []
        assert twice["devices"] == BOTH_FILES[:1]
        can = await node.can(ENCLAVE)
        assert can == (False, False)


@needs_root
async def test_with_trees_mounted_over_the_real_ones_no_option_is_needed(sgx: HandmadeSgx, tmp_path: Path) -> None:
    async with program(MODULE, tmp_path, *LIMITS, default_roots=True) as node:
        assert "sgx_enclave: expected a character device, found a regular file" in await node.says("problem")
        make_device_files(sgx.dev)

        await node.wait_for(ENCLAVE, 3)
        await node.wait_for(PROVISION, 2)


@pytest.mark.parametrize("flag", ["-enclave-limit=-1", "-provision-limit=x", "-dcap-infra-resources=maybe", "-epc"])
def test_a_bad_flag_ends_it_with_one_line(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    from xpu_plugins.sgx.__main__ import main

    assert main([flag]) == 2
    assert flag.removeprefix("-").partition("=")[0] in capsys.readouterr().err


def test_discover_says_what_is_missing(sgx: HandmadeSgx, capsys: pytest.CaptureFixture[str]) -> None:
    from xpu_plugins.sgx.__main__ import main

    roots = (f"--sysfs-root={sgx.sysfs}", f"--dev-root={sgx.dev}")
    assert main(["discover", *roots, *LIMITS]) == 0
    assert "sgx-enclave-0 .. sgx-enclave-2 Healthy - sgx_enclave" in " ".join(capsys.readouterr().out.split())
    (sgx.dev / "sgx_enclave").unlink()
    assert main(["discover", *roots]) == 0
    assert "No SGX enclave is offered." in capsys.readouterr().out
