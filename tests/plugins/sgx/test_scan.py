"""What is offered, and when nothing is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from handmade_sgx import FILES, HandmadeSgx, make_device_files
from programs import may_mount
from scans import device, ids, rejection, told
from xpu_plugins.sgx.device_files import absence
from xpu_shared.cdi import render
from xpu_shared.device import Device, DeviceNode, Health, ScanResult

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="making device files needs root")

CDI_FILE = """\
---
cdiVersion: 0.5.0
containerEdits: {}
devices:
- containerEdits:
    mounts:
    - containerPath: /run/efivars
      hostPath: efivarfs
      options:
      - rw
      - nosuid
      - nodev
      - noexec
      - relatime
      type: efivarfs
  name: efivarfs
kind: intel.cdi.k8s.io/sgx
"""


def files(found: Device) -> list[tuple[str, str, str]]:
    return [(node.host_path, node.container_path, node.permissions) for node in found.nodes]


class TestWhatIsOffered:
    def test_the_worked_example(self, sgx: HandmadeSgx) -> None:
        result = sgx.plugin(enclave_limit=3, provision_limit=2, dcap_infra_resources=True).scan()

        assert ids(result) == {
            "enclave": ["sgx-enclave-0", "sgx-enclave-1", "sgx-enclave-2"],
            "provision": ["sgx-provision-0", "sgx-provision-1"],
            "qe": ["qe-1"],
            "registration": ["registration-1"],
        }
        everything = [device for devices in result.devices.values() for device in devices]
        assert {device.health for device in everything} == {Health.HEALTHY}
        assert {device.numa_nodes for device in everything} == {()}
        assert not result.problems

    def test_by_default_there_are_as_many_as_pods(self, sgx: HandmadeSgx) -> None:
        result = sgx.plugin().scan()

        assert {type_: len(devices) for type_, devices in result.devices.items()} == {"enclave": 110, "provision": 110}
        assert ids(result)["enclave"][-1] == "sgx-enclave-109"

    def test_a_limit_of_nothing_is_no_resource(self, sgx: HandmadeSgx) -> None:
        assert ids(sgx.plugin(enclave_limit=0, provision_limit=1).scan()) == {"provision": ["sgx-provision-0"]}
        assert sgx.plugin(enclave_limit=0, provision_limit=0).scan() == ScanResult(devices={})

    def test_nonsense_in_the_environment_is_told_and_the_flags_win(self, sgx: HandmadeSgx) -> None:
        result = sgx.plugin(pods_per_core="abc", enclave_limit=1).scan()

        assert (len(result.devices["enclave"]), len(result.devices["provision"])) == (1, 110)
        assert told(result)[0][0] == "PODS_PER_CORE"

    def test_the_largest_list_reaches_the_kubelet(self, sgx: HandmadeSgx) -> None:
        from xpu_shared.kubelet.messages import LARGEST_LIST, list_message

        devices = sgx.plugin(enclave_limit=10_000).scan().devices["enclave"]

        assert list_message(devices).ByteSize() < LARGEST_LIST


class TestWhatAContainerIsGiven:
    @pytest.mark.parametrize("type_", ["enclave", "provision"])
    def test_one_file(self, sgx: HandmadeSgx, type_: str) -> None:
        result = sgx.plugin(host_dev_root=Path("/host/dev")).scan()

        assert device(result, f"sgx-{type_}-0") == Device(
            id=f"sgx-{type_}-0",
            nodes=(DeviceNode(host_path=f"/host/dev/sgx_{type_}", container_path=f"/dev/sgx_{type_}"),),
        )

    def test_quoting_and_registration_get_both_files(self, sgx: HandmadeSgx) -> None:
        result = sgx.plugin(dcap_infra_resources=True).scan()
        both = [(f"/dev/{name}", f"/dev/{name}", "rw") for name in FILES]

        assert files(device(result, "qe-1")) == files(device(result, "registration-1")) == both
        assert device(result, "qe-1").cdi is None

    def test_registration_gets_the_efi_variables(self, sgx: HandmadeSgx) -> None:
        cdi = device(sgx.plugin(dcap_infra_resources=True).scan(), "registration-1").cdi

        assert cdi is not None
        assert cdi.qualified_name == "intel.cdi.k8s.io/sgx=efivarfs"
        assert render(cdi) == CDI_FILE

    def test_old_names_come_beside_the_new_ones(self, sgx: HandmadeSgx) -> None:
        result = sgx.plugin(dcap_infra_resources=True, legacy_device_paths=True).scan()

        enclave = ("/dev/sgx_enclave", "/dev/sgx_enclave", "rw"), ("/dev/sgx_enclave", "/dev/sgx/enclave", "rw")
        assert tuple(files(device(result, "sgx-enclave-5"))) == enclave
        assert [path for _, path, _ in files(device(result, "qe-1"))] == [
            "/dev/sgx_enclave",
            "/dev/sgx_provision",
            "/dev/sgx/enclave",
            "/dev/sgx/provision",
        ]


class TestEfi:
    def test_without_efi_there_is_quoting_but_no_registration_and_that_is_told(self, sgx: HandmadeSgx) -> None:
        (sgx.sysfs / "firmware/efi/efivars").rmdir()
        (sgx.sysfs / "firmware/efi").rmdir()
        result = sgx.plugin(enclave_limit=0, provision_limit=0, dcap_infra_resources=True).scan()

        assert ids(result) == {"qe": ["qe-1"]}
        reason = rejection(result, "sgx.intel.com/registration").text
        assert reason == f"this host has no EFI variables: {sgx.sysfs}/firmware/efi does not exist"

    def test_a_tree_without_firmware_has_no_efi_either(self, sgx: HandmadeSgx) -> None:
        (sgx.sysfs / "firmware").rename(sgx.root / "elsewhere")
        result = sgx.plugin(dcap_infra_resources=True).scan()

        assert "registration" not in result.devices
        assert "firmware/efi: No such file" in rejection(result, "sgx.intel.com/registration").text

    def test_a_firmware_that_has_told_nothing_has_no_efi_either(self, sgx: HandmadeSgx) -> None:
        (sgx.sysfs / "firmware").rename(sgx.root / "elsewhere")
        (sgx.sysfs / "firmware").mkdir()
        result = sgx.plugin(dcap_infra_resources=True).scan()

        assert "registration" not in result.devices
        assert "firmware/efi does not exist" in rejection(result, "sgx.intel.com/registration").text

    @pytest.mark.skipif(not may_mount(), reason="mounting needs root and a mount namespace")
    def test_where_a_runtime_hides_the_firmware_the_administrator_is_believed(self, sgx: HandmadeSgx) -> None:
        hide = f'mount -t tmpfs none {sgx.sysfs}/firmware && exec "$@"'
        roots = (f"--sysfs-root={sgx.sysfs}", f"--dev-root={sgx.dev}")
        found = subprocess.run(
            [
                *("unshare", "-m", "sh", "-c", hide, "sh", sys.executable, "-m", "xpu_plugins.sgx"),
                *(*roots, "-dcap-infra-resources", "discover"),
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout

        assert "sgx.intel.com/registration" in found
        assert "cannot be told" in found

    def test_nobody_who_does_not_ask_for_it_is_told(self, sgx: HandmadeSgx) -> None:
        (sgx.sysfs / "firmware").rename(sgx.root / "elsewhere")

        assert not sgx.plugin().scan().problems


class TestAbsentFiles:
    @pytest.mark.parametrize("name", FILES)
    def test_without_either_nothing_is_offered_whatever_the_limits(self, sgx: HandmadeSgx, name: str) -> None:
        (sgx.dev / name).unlink()
        plugin = sgx.plugin(enclave_limit=1, provision_limit=0, dcap_infra_resources=True)

        assert not plugin.scan().devices
        assert told(plugin.scan()) == [(f"{sgx.dev}/{name}", "it does not exist")]

    def test_they_are_found_when_they_come_and_missed_when_they_go(self, sgx: HandmadeSgx) -> None:
        plugin = sgx.plugin()
        (sgx.dev / "sgx_provision").unlink()
        assert not plugin.scan().devices

        (sgx.dev / "sgx_provision").touch()
        assert plugin.scan().devices

        (sgx.dev / "sgx_enclave").unlink()
        assert not plugin.scan().devices

    def test_a_link_to_the_file_is_as_good(self, sgx: HandmadeSgx) -> None:
        (sgx.dev / "sgx_enclave").rename(sgx.root / "enclave")
        (sgx.dev / "sgx_enclave").symlink_to(sgx.root / "enclave")

        assert sgx.plugin().scan().devices

    def test_below_another_root_any_file_stands_for_a_device(self, sgx: HandmadeSgx) -> None:
        (sgx.dev / "sgx_enclave").unlink()
        (sgx.dev / "sgx_enclave").mkdir()

        assert sgx.plugin().scan().devices

    @pytest.mark.parametrize(("kind", "word"), [("file", "regular file"), ("directory", "directory")])
    def test_in_the_real_dev_only_character_devices_count(self, tmp_path: Path, kind: str, word: str) -> None:
        path = tmp_path / "sgx_enclave"
        path.mkdir() if kind == "directory" else path.touch()

        assert absence(path, dev=Path("/dev")) == f"expected a character device, found a {word}"
        assert absence(Path("/dev/null"), dev=Path("/dev")) is None

    @needs_root
    def test_character_devices_are_offered(self, sgx: HandmadeSgx) -> None:
        make_device_files(sgx.dev)

        assert absence(sgx.dev / "sgx_enclave", dev=Path("/dev")) is None
        assert sgx.plugin().scan().devices


class TestFilesThatCannotBeLookedAt:
    def test_devices_stay_for_one_scan_and_go_with_the_next(self, sgx: HandmadeSgx) -> None:
        plugin = sgx.plugin()
        assert plugin.scan().devices
        path = sgx.dev / "sgx_provision"
        path.unlink()
        path.symlink_to("sgx_provision")

        with pytest.raises(OSError, match="sgx_provision"):  # to the framework: everything stays what it was
            plugin.scan()
        result = plugin.scan()

        assert not result.devices
        assert rejection(result, str(path)).text == "Too many levels of symbolic links"
        assert not plugin.scan().devices

    def test_they_stay_for_one_scan_each_time(self, sgx: HandmadeSgx) -> None:
        plugin = sgx.plugin()
        path = sgx.dev / "sgx_enclave"
        for _ in range(2):
            path.unlink()
            path.symlink_to("sgx_enclave")
            with pytest.raises(OSError, match="sgx_enclave"):
                plugin.scan()
            path.unlink()
            path.touch()
            assert plugin.scan().devices
