"""Which cards are offered, under which ids, with which files."""

import os
from pathlib import Path

import pytest

from handmade_gpus import HandmadeGpus, container_paths, ids, only, rejection, told
from xpu_plugins.gpu.device_files import device_files
from xpu_plugins.gpu.scan import scan
from xpu_plugins.gpu.settings import GpuSettings
from xpu_shared.device import DeviceNode, Problem
from xpu_simulator.node import Node
from xpu_simulator.tree import SimulatedTree


class TestWhichCards:
    def test_cards_are_listed_by_number_not_by_spelling(self, gpus: HandmadeGpus) -> None:
        for number in (10, 9, 1):
            gpus.card(f"card{number}", path=f"pci0000:00/0000:00:{number:02}.0")

        assert ids(gpus.scan()) == {"i915": ["card1-0", "card9-0", "card10-0"]}

    def test_each_driver_is_a_device_type(self, gpus: HandmadeGpus) -> None:
        gpus.card("card0", path="pci0000:00/0000:00:02.0", driver="i915")
        gpus.card("card1", path="pci0000:00/0000:00:03.0", driver="xe")

        assert ids(gpus.scan()) == {"i915": ["card0-0"], "xe": ["card1-0"]}

    @pytest.mark.parametrize(
        "name", ["card0-DP-1", "renderD128", "version", "card", "card\u0661", "card1\n", "xcard1", "card-1", "Card1"]
    )
    def test_other_entries_are_no_cards(self, gpus: HandmadeGpus, name: str) -> None:
        gpus.card("card0")
        (gpus.drm / name).symlink_to("../../devices/pci0000:00/0000:00:02.0/drm/card0")

        result = gpus.scan()

        assert ids(result) == {"i915": ["card0-0"]}
        assert not result.problems

    def test_a_card_number_may_have_hundreds_of_digits(self, gpus: HandmadeGpus) -> None:
        gpus.card("card0")
        huge = "card" + "9" * 200
        (gpus.drm / huge).symlink_to("../../devices/pci0000:00/0000:00:02.0/drm/card0")

        assert ids(gpus.scan()) == {"i915": ["card0-0", f"{huge}-0"]}

    def test_without_cards_there_is_nothing(self, gpus: HandmadeGpus) -> None:
        result = gpus.scan(enable_monitoring=True)

        assert (result.devices, result.problems) == ({}, ())

    @pytest.mark.parametrize("kind", ["absent", "file", "loop"])
    def test_a_class_directory_that_cannot_be_listed_is_an_os_error(self, gpus: HandmadeGpus, kind: str) -> None:
        gpus.drm.rmdir()
        if kind == "file":
            gpus.drm.touch()
        if kind == "loop":
            gpus.drm.symlink_to("drm")

        with pytest.raises(OSError, match="class/drm"):
            gpus.scan()

    def test_ten_thousand_entries_do_not_hide_a_card(self, gpus: HandmadeGpus) -> None:
        gpus.card("card0")
        for number in range(10_000):
            (gpus.drm / f"card0-DP-{number}").touch()
            (gpus.dev / f"dri/by-path/junk{number}").touch()

        assert ids(gpus.scan()) == {"i915": ["card0-0"]}


class TestVendor:
    def test_another_vendors_card_is_an_ordinary_sight(self, gpus: HandmadeGpus) -> None:
        gpus.card("card0", attributes={"vendor": "0x1a03"})
        problem = rejection(gpus.scan())

        assert problem.text == "its vendor is 0x1a03, not Intel (0x8086)"
        assert problem.expected

    @pytest.mark.parametrize("text", ["8086h", "", "0x08086", "32902", "\0", "0x8086" * 1000])
    def test_a_malformed_vendor_names_the_file(self, gpus: HandmadeGpus, text: str) -> None:
        gpus.card("card0", attributes={"vendor": text})
        gpus.card("card1", path="pci0000:00/0000:00:03.0")
        result = gpus.scan()

        assert ids(result) == {"i915": ["card1-0"]}
        assert "card0/device/vendor: expected" in rejection(result).text
        assert not rejection(result).expected

    def test_an_unreadable_vendor_costs_that_card_and_names_the_file(self, gpus: HandmadeGpus) -> None:
        gpus.card("card0", attributes={"vendor": None})
        loop = gpus.card("card1", path="pci0000:00/0000:00:03.0", attributes={"vendor": None}) / "vendor"
        loop.symlink_to("vendor")
        gpus.card("card2", path="pci0000:00/0000:00:04.0")
        result = gpus.scan()

        assert ids(result) == {"i915": ["card2-0"]}
        assert "card0/device/vendor" in rejection(result).text
        assert "card1/device/vendor" in rejection(result, "card1").text

    def test_a_card_without_hardware_behind_it_is_rejected(self, gpus: HandmadeGpus) -> None:
        (gpus.drm / "card0").symlink_to("../../devices/gone")
        (gpus.drm / "card1").touch()
        result = gpus.scan()

        assert not result.devices
        assert [problem.rejected for problem in result.problems] == [True, True]


class TestAllowAndDeny:
    @pytest.fixture
    def two(self, gpus: HandmadeGpus) -> HandmadeGpus:
        gpus.card("card0", attributes={"device": "0x56c0"})
        gpus.card("card1", path="pci0000:00/0000:00:03.0", attributes={"device": "0xe20b"}, driver="xe")
        return gpus

    def test_only_allowed_cards_are_offered_and_monitored(self, two: HandmadeGpus) -> None:
        result = two.scan(allow_ids=("0xe20b",), enable_monitoring=True)

        assert ids(result) == {"xe": ["card1-0"], "monitoring": ["all"]}
        assert container_paths(result.devices["monitoring"][0]) == ["/dev/dri/card1", "/dev/dri/renderD129"]
        assert rejection(result).text == "its PCI id 0x56c0 is not in --allow-ids"
        assert rejection(result).expected

    def test_denied_cards_are_not_offered(self, two: HandmadeGpus) -> None:
        result = two.scan(deny_ids=("0xe20b", "0x1234"))

        assert ids(result) == {"i915": ["card0-0"]}
        assert rejection(result, "card1").text == "its PCI id 0xe20b is in --deny-ids"

    @pytest.mark.parametrize("text", ["", "56c0", "0x56C0", "0x56c00", "\x01"])
    def test_a_malformed_id_is_neither_allowed_nor_denied(self, gpus: HandmadeGpus, text: str) -> None:
        gpus.card("card0", attributes={"device": text})

        allowing, denying = gpus.scan(allow_ids=("0x56c0",)), gpus.scan(deny_ids=("0x56c0",))

        assert not allowing.devices
        assert "card0/device/device: expected" in rejection(allowing).text
        assert ids(denying) == {"i915": ["card0-0"]}
        ((subject, told_text),) = told(denying)
        assert subject == "card0"
        assert "card0/device/device: expected" in told_text

    @pytest.mark.parametrize("choice", ["allow_ids", "deny_ids"])
    def test_an_unreadable_id_rules_the_card_out(self, gpus: HandmadeGpus, choice: str) -> None:
        gpus.card("card0", attributes={"device": None})

        assert "card0/device/device" in rejection(gpus.scan(**{choice: ("0x56c0",)})).text

    def test_without_a_list_the_id_is_not_read(self, gpus: HandmadeGpus) -> None:
        gpus.card("card0", attributes={"device": None})

        assert ids(gpus.scan()) == {"i915": ["card0-0"]}

    def test_the_first_line_of_the_id_counts(self, gpus: HandmadeGpus) -> None:
        gpus.card("card0", attributes={"device": "0x56c0 \nmore"})

        assert ids(gpus.scan(allow_ids=("0x56c0",))) == {"i915": ["card0-0"]}


class TestDriver:
    def test_without_a_driver_link_it_is_taken_for_i915(self, gpus: HandmadeGpus) -> None:
        (gpus.card("card0") / "driver").unlink()
        result = gpus.scan()

        assert ids(result) == {"i915": ["card0-0"]}
        ((subject, text),) = told(result)
        assert subject == "card0"
        assert text.endswith("card0/device/driver")

    @pytest.mark.parametrize("name", ["vfio-pci", "simple-framebuffer", "x\ne/\xff", "XE", "i915_"])
    def test_other_drivers_are_rejected_by_name(self, gpus: HandmadeGpus, name: str) -> None:
        gpus.card("card0", driver=name)
        result = gpus.scan()

        assert not result.devices
        assert rejection(result).text.startswith("its driver is '")
        assert rejection(result).text.endswith("expected i915 or xe")
        assert rejection(result).text.isprintable()
        assert not rejection(result).expected


class TestSriov:
    @pytest.mark.parametrize("text", ["0", "-1", None])
    def test_a_physical_function_without_virtual_ones_is_a_card(self, gpus: HandmadeGpus, text: str | None) -> None:
        gpus.card("card0", attributes={"sriov_numvfs": text})
        result = gpus.scan()

        assert ids(result) == {"i915": ["card0-0"]}
        assert not result.problems

    @pytest.mark.parametrize("text", ["", "-2", "many", "1.5", "0_1", "\0"])
    def test_a_nonsense_number_of_functions_is_told_and_does_not_matter(self, gpus: HandmadeGpus, text: str) -> None:
        gpus.card("card0", attributes={"sriov_numvfs": text})
        result = gpus.scan()

        assert ids(result) == {"i915": ["card0-0"]}
        ((subject, told_text),) = told(result)
        assert subject == "card0"
        assert "card0/device/sriov_numvfs: expected" in told_text

    def test_virtual_functions_are_offered_instead_of_their_physical_one(self, tmp_path: Path) -> None:
        tree = SimulatedTree(tmp_path)
        for gpu in Node(gpus=({"vfs": 2}, {"vfs": 0})).gpus:  # type: ignore[arg-type]  # as in a node's file
            tree.add_gpu(gpu)

        result = scan(GpuSettings(sysfs_root=tree.sysfs, dev_root=tree.dev, enable_monitoring=True))

        assert ids(result) == {"i915": ["card1-0", "card2-0", "card3-0"], "monitoring": ["all"]}
        assert "/dev/dri/card0" not in container_paths(result.devices["monitoring"][0])
        assert rejection(result).text == "it has 2 virtual functions, which are offered instead"
        assert rejection(result).expected


class TestDeviceFiles:
    def test_a_container_gets_card_and_render_node_to_read_and_write(self, gpus: HandmadeGpus) -> None:
        gpus.card("card0", files=("renderD128", "card0", "controlD64"))

        assert only(gpus.scan()).nodes == (
            DeviceNode(host_path="/dev/dri/card0", container_path="/dev/dri/card0", permissions="rw"),
            DeviceNode(host_path="/dev/dri/renderD128", container_path="/dev/dri/renderD128", permissions="rw"),
        )

    def test_host_paths_are_below_the_hosts_dev_root(self, gpus: HandmadeGpus) -> None:
        gpus.card("card0")
        device = only(gpus.scan(host_dev_root=Path("/fake/dev"), bypath="all"))

        assert [node.host_path for node in device.nodes] == ["/fake/dev/dri/card0", "/fake/dev/dri/renderD128"]
        assert container_paths(device) == ["/dev/dri/card0", "/dev/dri/renderD128"]
        assert [(mount.host_path, mount.container_path) for mount in device.mounts] == [
            ("/fake/dev/dri/by-path", "/dev/dri/by-path")
        ]

    def test_an_entry_without_a_file_is_left_out(self, gpus: HandmadeGpus) -> None:
        gpus.card("card0")
        (gpus.dev / "dri/card0").unlink()
        result = gpus.scan()

        assert container_paths(only(result)) == ["/dev/dri/renderD128"]
        assert not result.problems

    def test_a_card_without_any_file_is_rejected(self, gpus: HandmadeGpus) -> None:
        gpus.card("card0")
        for name in ("card0", "renderD128"):
            (gpus.dev / "dri" / name).unlink()

        assert rejection(gpus.scan()).text == f"it has no device file in {gpus.dev}/dri; sysfs names card0, renderD128"

    def test_a_card_whose_files_sysfs_does_not_name_is_rejected(self, gpus: HandmadeGpus) -> None:
        device = gpus.card("card0")
        (gpus.drm / "card0").unlink()
        (gpus.drm / "card0").mkdir()
        (gpus.drm / "card0/device").symlink_to(device)
        (device / "drm").rename(device / "elsewhere")

        assert "card0/device/drm" in rejection(gpus.scan()).text

    @pytest.mark.parametrize("kind", ["directory", "dangling link", "loop", "pipe"])
    def test_what_is_no_device_is_left_out_and_named(self, gpus: HandmadeGpus, kind: str) -> None:
        gpus.card("card0")
        path = gpus.dev / "dri/card0"
        path.unlink()
        match kind:
            case "directory":
                path.mkdir()
            case "dangling link":
                path.symlink_to("gone")
            case "loop":
                path.symlink_to("card0")
            case "pipe":
                os.mkfifo(path)
        result = gpus.scan()

        assert container_paths(only(result)) == ["/dev/dri/renderD128"]
        ((subject, text),) = told(result)
        assert subject == str(path)
        assert text.startswith("not handed out: ")

    def test_on_a_real_dev_only_character_devices_count(self, gpus: HandmadeGpus) -> None:
        gpus.card("card0")
        (gpus.dev / "dri/renderD128").unlink()
        (gpus.dev / "dri/renderD128").symlink_to("/dev/null")
        problems: list[Problem] = []

        files = device_files(f"{gpus.drm}/card0", gpus.dev, problems, simulated=False)

        assert list(files) == ["renderD128"]
        assert problems == [Problem(subject=f"{gpus.dev}/dri/card0", text="not handed out: it is no character device")]

    def test_names_in_sysfs_cannot_lead_out_of_dri(self, gpus: HandmadeGpus) -> None:
        gpus.card("card0", files=("card0", "null", "card0\n", "renderD\u0661", "..mem"))

        assert container_paths(only(gpus.scan())) == ["/dev/dri/card0"]

    def test_a_directory_that_was_made_anew_is_recognized(self, gpus: HandmadeGpus) -> None:
        """A mount of a directory that was removed is what an open descriptor of it is."""
        gpus.card("card0", files=())
        (gpus.dev / "dri/by-path").rmdir()
        descriptor = os.open(gpus.dev / "dri", os.O_PATH)
        (gpus.dev / "dri").rmdir()
        (gpus.dev / "dri").symlink_to(f"/proc/self/fd/{descriptor}")
        try:
            assert "was removed and made anew on the host" in rejection(gpus.scan()).text
        finally:
            os.close(descriptor)


class TestNumaNode:
    def test_a_card_is_near_to_the_node_of_its_pci_function(self, gpus: HandmadeGpus) -> None:
        gpus.card("card0", attributes={"numa_node": "1"})

        assert only(gpus.scan()).numa_nodes == (1,)

    @pytest.mark.parametrize("text", ["-1", None])
    def test_no_node_is_none(self, gpus: HandmadeGpus, text: str | None) -> None:
        gpus.card("card0", attributes={"numa_node": text})
        result = gpus.scan()

        assert only(result).numa_nodes == ()
        assert not result.problems

    @pytest.mark.parametrize("attribute", ["numa_node", "local_cpulist"])
    def test_nonsense_costs_the_node_only_and_is_told(self, gpus: HandmadeGpus, attribute: str) -> None:
        gpus.card("card0", attributes={attribute: "0-"})
        gpus.card("card1", path="pci0000:00/0000:00:03.0", attributes={attribute: "\0"})
        result = gpus.scan()

        assert [(device.id, device.numa_nodes) for device in result.devices["i915"]] == [
            ("card0-0", ()),
            ("card1-0", ()),
        ]
        assert [subject for subject, text in told(result) if f"{attribute}: expected" in text] == ["card0", "card1"]


class TestSharing:
    def test_a_shared_card_has_as_many_ids_that_are_alike(self, gpus: HandmadeGpus) -> None:
        gpus.card("card0")
        result = gpus.scan(shared_dev_num=3)

        assert ids(result) == {"i915": ["card0-0", "card0-1", "card0-2"]}
        first, *others = result.devices["i915"]
        assert all((other.nodes, other.cdi, other.numa_nodes) == (first.nodes, first.cdi, (0,)) for other in others)

    def test_all_ids_of_a_card_have_one_cdi_device_named_as_the_card(self, gpus: HandmadeGpus) -> None:
        gpus.card("card0")
        devices = gpus.scan(shared_dev_num=2).devices["i915"]

        assert {device.cdi.qualified_name for device in devices if device.cdi} == {"intel.cdi.k8s.io/gpu=card0"}


class TestHardware:
    """The PCI address, by which sources of health know a card."""

    def test_it_is_in_the_card_s_link(self, gpus: HandmadeGpus) -> None:
        gpus.card("card0", path="pci0000:16/0000:16:00.0/0000:17:00.0")

        assert only(gpus.scan()).hardware == "0000:17:00.0"

    def test_or_in_that_of_its_device(self, gpus: HandmadeGpus) -> None:
        device = gpus.card("card0", path="pci0000:16/0000:17:00.0")
        (gpus.drm / "card0").unlink()
        (gpus.drm / "card0").mkdir()
        (gpus.drm / "card0/device").symlink_to(device)

        assert only(gpus.scan()).hardware == "0000:17:00.0"

    def test_a_card_without_one_is_offered_all_the_same(self, gpus: HandmadeGpus) -> None:
        gpus.card("card0", path="platform/soc")

        assert only(gpus.scan()).hardware == ""
