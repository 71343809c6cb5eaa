"""Which functions are offered, as what, with which files and health."""

import os
import shutil
from pathlib import Path

import pytest

from handmade_dlb import PF_ADDRESS, HandmadeDlb
from scans import device, ids, rejection, told
from xpu_shared.device import Device, DeviceNode, Health

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="making device files needs root")


class TestKinds:
    def test_a_physical_function_without_virtual_ones_is_a_pf(self, dlb: HandmadeDlb) -> None:
        dlb.pf(0)

        assert ids(dlb.scan()) == {"pf": ["/dev/dlb0"]}

    def test_one_that_has_some_is_not_offered_which_is_an_ordinary_sight(self, dlb: HandmadeDlb) -> None:
        dlb.pf(0, vfs="3")
        dlb.vf(1, "0000:7e:00.1")
        result = dlb.scan()

        assert ids(result) == {"vf": ["/dev/dlb1"]}
        assert rejection(result, "dlb0").text == "it has 3 virtual functions, which are offered instead"
        assert rejection(result, "dlb0").expected

    def test_it_can_be_offered_with_what_it_has_left(self, dlb: HandmadeDlb) -> None:
        dlb.pf(0, vfs="3")

        assert ids(dlb.scan(pf_with_vfs="advertise")) == {"pf": ["/dev/dlb0"]}

    def test_without_the_attribute_a_function_is_a_vf(self, dlb: HandmadeDlb) -> None:
        dlb.function(2, "0000:7e:00.1", attributes={"device": "0x2715"})
        result = dlb.scan()

        assert ids(result) == {"vf": ["/dev/dlb2"]}
        assert not result.problems

    @pytest.mark.parametrize("pci_id", ["0x2710", "0x2714"])
    def test_a_physical_function_without_sriov_is_a_vf_and_that_is_told(self, dlb: HandmadeDlb, pci_id: str) -> None:
        dlb.function(0, PF_ADDRESS, attributes={"device": pci_id})
        result = dlb.scan()

        assert ids(result) == {"vf": ["/dev/dlb0"]}
        ((subject, text),) = told(result)
        assert subject == "dlb0"
        assert "--classify=pci-id" in text
        assert ids(dlb.scan(classify="pci-id")) == {"pf": ["/dev/dlb0"]}

    def test_devices_are_listed_by_number_not_by_spelling(self, dlb: HandmadeDlb) -> None:
        for number in (10, 9, 2):
            dlb.function(number, f"0000:7e:{number:02x}.0")

        assert ids(dlb.scan()) == {"vf": ["/dev/dlb2", "/dev/dlb9", "/dev/dlb10"]}

    @pytest.mark.parametrize("kind", ["module not loaded", "no devices"])
    def test_a_node_without_functions_runs_idle(self, dlb: HandmadeDlb, kind: str) -> None:
        if kind == "module not loaded":
            (dlb.sysfs / "class/dlb2").rmdir()
        result = dlb.scan()

        assert (result.devices, result.problems) == ({}, ())

    @pytest.mark.parametrize("directory", ["dev", "sys/class/dlb2"])
    def test_a_directory_that_cannot_be_listed_is_an_os_error(self, dlb: HandmadeDlb, directory: str) -> None:
        (dlb.root / directory).rmdir()
        (dlb.root / directory).symlink_to(Path(directory).name)

        with pytest.raises(OSError, match=directory):
            dlb.scan()


class TestBadFiles:
    """What is in /dev, and what is not."""

    @pytest.fixture(autouse=True)
    def good(self, dlb: HandmadeDlb) -> None:
        dlb.pf(0)

    @pytest.mark.parametrize("name", ["dlb_config", "dlb3.bak", "dlb", "dlb\u0661", "dlb-1", "dlb0x"])
    def test_other_names_are_ignored_as_an_ordinary_sight(self, dlb: HandmadeDlb, name: str) -> None:
        (dlb.dev / name).touch()
        result = dlb.scan()

        assert ids(result) == {"pf": ["/dev/dlb0"]}
        assert rejection(result, name).expected

    @pytest.mark.parametrize(("kind", "word"), [("directory", "directory"), ("pipe", "pipe")])
    def test_another_kind_of_file_is_ignored_with_a_warning(self, dlb: HandmadeDlb, kind: str, word: str) -> None:
        dlb.function(7, "0000:7e:00.7", file=False)
        path = dlb.dev / "dlb7"
        path.mkdir() if kind == "directory" else os.mkfifo(path)
        result = dlb.scan()

        assert ids(result) == {"pf": ["/dev/dlb0"]}
        assert told(result) == [("dlb7", f"{path}: expected a character device, found a {word}")]

    def test_a_file_without_class_entry_is_not_offered(self, dlb: HandmadeDlb) -> None:
        (dlb.dev / "dlb4").touch()
        result = dlb.scan()

        assert ids(result) == {"pf": ["/dev/dlb0"]}
        assert told(result) == [("dlb4", f"it has no entry in {dlb.sysfs}/class/dlb2")]

    def test_a_class_entry_without_file_is_not_offered(self, dlb: HandmadeDlb) -> None:
        dlb.function(5, "0000:7e:00.5", file=False)
        result = dlb.scan()

        assert ids(result) == {"pf": ["/dev/dlb0"]}
        assert told(result) == [("dlb5", f"it has no device file {dlb.dev}/dlb5")]

    def test_a_file_that_goes_between_listing_and_looking_is_not_spoken_of(self, dlb: HandmadeDlb) -> None:
        (dlb.dev / "dlb4").symlink_to("gone")  # listed, but no more there when looked at
        result = dlb.scan()

        assert (ids(result), result.problems) == ({"pf": ["/dev/dlb0"]}, ())

    def test_a_file_that_cannot_be_looked_at_is_told(self, dlb: HandmadeDlb) -> None:
        (dlb.dev / "dlb4").symlink_to("dlb4")

        assert "dlb4" in rejection(dlb.scan(), "dlb4").text

    @needs_root
    def test_the_file_is_the_drivers_device(self, dlb: HandmadeDlb) -> None:
        good, other = (dlb.function(number, f"0000:7e:00.{number}") for number in (1, 2))
        (good / "dlb2/dlb1/dev").write_text("236:1\n")
        (other / "dlb2/dlb2/dev").write_text("236:2\n")
        dlb.device_file(1, 236, 1)
        dlb.device_file(2, 236, 7)
        result = dlb.scan()

        assert ids(result) == {"pf": ["/dev/dlb0"], "vf": ["/dev/dlb1"]}
        expected = f"{dlb.dev}/dlb2: expected device 236:2, as the driver says, found 236:7"
        assert told(result) == [("dlb2", expected)]

    def test_ten_thousand_files_do_not_hide_a_function(self, dlb: HandmadeDlb) -> None:
        for number in range(10_000):
            (dlb.dev / f"dlb_{number}").touch()

        assert ids(dlb.scan()) == {"pf": ["/dev/dlb0"]}


class TestBadAttributes:
    @pytest.fixture(autouse=True)
    def good(self, dlb: HandmadeDlb) -> None:
        dlb.pf(0)

    @pytest.mark.parametrize("text", ["", "abc", "-3", "-1", "3.5", "0 0", "\0", "x" * 2_000_000])
    def test_a_malformed_number_of_virtual_functions_costs_its_function(self, dlb: HandmadeDlb, text: str) -> None:
        dlb.pf(1, "0000:7f:00.0", vfs=text)
        result = dlb.scan()

        assert ids(result) == {"pf": ["/dev/dlb0"]}
        problem = rejection(result, "dlb1")
        assert not problem.expected
        assert "/sys/class/dlb2/dlb1/device/sriov_numvfs: expected" in problem.text
        assert len(problem.text) < 400

    def test_one_that_cannot_be_read_costs_its_function(self, dlb: HandmadeDlb) -> None:
        directory = dlb.function(1, "0000:7f:00.0")
        (directory / "sriov_numvfs").symlink_to("sriov_numvfs")
        result = dlb.scan()

        assert ids(result) == {"pf": ["/dev/dlb0"]}
        assert rejection(result, "dlb1").text.startswith("[Errno 40] ")
        assert "sriov_numvfs" in rejection(result, "dlb1").text

    @pytest.mark.parametrize("target", ["gone", "device"])
    def test_a_device_link_that_leads_nowhere_costs_its_function(self, dlb: HandmadeDlb, target: str) -> None:
        directory = dlb.function(1, "0000:7f:00.0")
        (directory / "dlb2/dlb1/device").unlink()
        (directory / "dlb2/dlb1/device").symlink_to(target)
        result = dlb.scan()

        assert ids(result) == {"pf": ["/dev/dlb0"]}
        assert "class/dlb2/dlb1/device leads nowhere: " in rejection(result, "dlb1").text

    def test_of_two_files_of_one_function_the_first_by_number_counts(self, dlb: HandmadeDlb) -> None:
        directory = dlb.directory(PF_ADDRESS)
        for number in (2, 10):
            (dlb.sysfs / f"class/dlb2/dlb{number}").symlink_to(directory / "dlb2/dlb0")
            (dlb.dev / f"dlb{number}").touch()
        result = dlb.scan()

        assert ids(result) == {"pf": ["/dev/dlb0"]}
        assert rejection(result, "dlb2").text == f"it is the PCI function of dlb0: {directory}"
        assert not rejection(result, "dlb10").expected


class TestWhatAContainerIsGiven:
    def test_the_file_on_the_host_and_in_the_container(self, dlb: HandmadeDlb) -> None:
        dlb.pf(3)

        assert device(dlb.scan(host_dev_root=Path("/host/dev")), "/dev/dlb3") == Device(
            id="/dev/dlb3",
            nodes=(DeviceNode(host_path="/host/dev/dlb3", container_path="/dev/dlb3", permissions="rw"),),
            numa_nodes=(1,),
        )

    def test_ids_can_be_pci_addresses(self, dlb: HandmadeDlb) -> None:
        dlb.pf(3)

        assert device(dlb.scan(device_id="bdf"), PF_ADDRESS).nodes[0].host_path == "/dev/dlb3"

    def test_an_address_may_have_a_long_domain(self, dlb: HandmadeDlb) -> None:
        dlb.pf(3, "10000:7e:00.0")

        assert device(dlb.scan(device_id="bdf"), "10000:7e:00.0").numa_nodes == (1,)

    def test_a_function_without_address_has_no_such_id(self, dlb: HandmadeDlb) -> None:
        dlb.function(3, "platform")
        result = dlb.scan(device_id="bdf")

        assert not result.devices
        assert "--device-id=bdf" in rejection(result, "dlb3").text


class TestNumaNodes:
    @pytest.mark.parametrize(
        ("numa_node", "cpus", "expected"),
        [("1", "32-63", (1,)), ("-1", "32-63", ()), ("1", "", ()), ("0", "0-1", (0,)), (None, None, ())],
    )
    def test_they_are_those_of_the_pci_function(
        self, dlb: HandmadeDlb, numa_node: str | None, cpus: str | None, expected: tuple[int, ...]
    ) -> None:
        dlb.function(0, PF_ADDRESS, attributes={"numa_node": numa_node, "local_cpulist": cpus})

        assert device(dlb.scan(), "/dev/dlb0").numa_nodes == expected

    @pytest.mark.parametrize("text", ["x", "0-1", "9" * 100, "\0"])
    def test_nonsense_costs_the_node_alone(self, dlb: HandmadeDlb, text: str) -> None:
        dlb.function(0, PF_ADDRESS, attributes={"numa_node": text})
        result = dlb.scan()

        assert device(result, "/dev/dlb0").numa_nodes == ()
        assert "no NUMA node is told" in told(result)[0][1]

    @pytest.mark.parametrize(("text", "expected"), [("1", (1,)), ("-1", ()), (None, ())])
    def test_outside_of_devices_the_function_itself_is_asked(
        self, dlb: HandmadeDlb, text: str | None, expected: tuple[int, ...]
    ) -> None:
        function = dlb.sysfs / "class/dlb2/dlb0/device"
        function.mkdir(parents=True)
        (function / "sriov_numvfs").write_text("0\n")
        if text is not None:
            (function / "numa_node").write_text(f"{text}\n")
        (dlb.dev / "dlb0").touch()

        assert device(dlb.scan(), "/dev/dlb0").numa_nodes == expected


class TestHealth:
    @pytest.fixture(autouse=True)
    def physical(self, dlb: HandmadeDlb) -> None:
        dlb.pf(0, vfs="2")

    def test_a_virtual_function_without_resources_cannot_work(self, dlb: HandmadeDlb) -> None:
        dlb.vf(1, "0000:7e:00.1", domains="0")
        dlb.vf(2, "0000:7e:00.2", index=1)
        result = dlb.scan()

        assert device(result, "/dev/dlb1").health is Health.UNHEALTHY
        assert device(result, "/dev/dlb1").reason == "no resources assigned"
        assert device(result, "/dev/dlb2").health is Health.HEALTHY

    def test_one_whose_mailbox_is_disabled_cannot_either(self, dlb: HandmadeDlb) -> None:
        dlb.vf(1, "0000:7e:00.1")
        dlb.vf(2, "0000:7e:00.2", index=1)
        (dlb.directory(PF_ADDRESS) / "vf1_resources/func_bar_en").write_text("0\n")
        result = dlb.scan()

        assert device(result, "/dev/dlb1").health is Health.HEALTHY
        assert device(result, "/dev/dlb2").health is Health.UNHEALTHY
        assert "func_bar_en is 0" in device(result, "/dev/dlb2").reason

    @pytest.mark.parametrize("attribute", ["total_resources/num_sched_domains", "physfn", "vf0_resources/func_bar_en"])
    def test_what_is_absent_says_nothing(self, dlb: HandmadeDlb, attribute: str) -> None:
        directory = dlb.vf(1, "0000:7e:00.1")
        place = dlb.directory(PF_ADDRESS) if attribute.startswith("vf0") else directory
        (place / attribute).unlink()
        result = dlb.scan()

        assert device(result, "/dev/dlb1").health is Health.HEALTHY
        assert told(result) == []

    @pytest.mark.parametrize("attribute", ["total_resources/num_sched_domains", "vf0_resources/func_bar_en"])
    def test_nonsense_says_nothing_and_is_told(self, dlb: HandmadeDlb, attribute: str) -> None:
        directory = dlb.vf(1, "0000:7e:00.1")
        place = dlb.directory(PF_ADDRESS) if attribute.startswith("vf0") else directory
        (place / attribute).write_text("many\n")
        result = dlb.scan()

        assert device(result, "/dev/dlb1").health is Health.HEALTHY
        assert "taken for healthy: " in told(result)[0][1]

    def test_a_function_whose_directory_goes_during_the_scan_is_not_a_vf(self, dlb: HandmadeDlb) -> None:
        shutil.rmtree(dlb.directory(PF_ADDRESS))

        assert not dlb.scan().devices
