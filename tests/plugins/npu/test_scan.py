"""Which accelerators are offered, under which ids, with which files."""

import os
from pathlib import Path

import pytest

from handmade_npus import HandmadeNpus
from scans import device, ids, rejection, told
from xpu_plugins.npu.accelerator import PCI_IDS, RejectedNpuError, check_device_file
from xpu_shared.cdi import render
from xpu_shared.device import Device, DeviceNode

CDI_FILE = """\
---
cdiVersion: 0.5.0
containerEdits: {}
devices:
- containerEdits:
    deviceNodes:
    - hostPath: /dev/accel/accel0
      path: /dev/accel/accel0
      permissions: rw
  name: accel0
kind: intel.cdi.k8s.io/npu
"""


@pytest.fixture
def good(npus: HandmadeNpus) -> HandmadeNpus:
    """One NPU that whatever is wrong with others must not touch."""
    npus.add("accel0")
    return npus


def told_but_of_good(npus: HandmadeNpus) -> list[tuple[str, str]]:
    """What is told of a scan that still offers accel0 and nothing else."""
    result = npus.scan()
    assert ids(result) == {"accel": ["accel0-0"]}
    return told(result)


class TestWorkedExample:
    @pytest.fixture
    def node(self, npus: HandmadeNpus) -> HandmadeNpus:
        for name, vendor, pci_id, file in (
            ("accel0", "0x8086", "0xb03e", True),
            ("accel1", "0x17cb", "0xa100", True),
            ("accel2", "0x8086", "0x643e", False),
            ("accel10", "0x8086", "0xd71d", True),
        ):
            npus.add(name, attributes={"vendor": vendor, "device": pci_id}, driver=None, file=file)
        (npus.accel / "accelctl").mkdir()
        return npus

    def test_what_is_offered(self, node: HandmadeNpus) -> None:
        result = node.scan(shared_dev_num=2)

        assert ids(result) == {"accel": ["accel0-0", "accel0-1", "accel10-0", "accel10-1"]}
        assert rejection(result, "accel1").expected
        assert told(result) == [("accel2", f"it has no device file {node.dev}/accel/accel2")]

    def test_what_a_container_is_given(self, node: HandmadeNpus) -> None:
        found = device(node.scan(host_dev_root=Path("/host/dev")), "accel10-0")

        node_ = DeviceNode(host_path="/host/dev/accel/accel10", container_path="/dev/accel/accel10", permissions="rw")
        assert found == Device(id="accel10-0", nodes=(node_,))


class TestTopology:
    @pytest.mark.parametrize(
        ("numa_node", "cpus", "expected"), [("-1", "0-13", ()), ("0", "0-13", (0,)), ("1", "", ())]
    )
    def test_numa_nodes_are_those_of_the_pci_function(
        self, npus: HandmadeNpus, numa_node: str, cpus: str, expected: tuple[int, ...]
    ) -> None:
        npus.add(attributes={"numa_node": numa_node, "local_cpulist": cpus})
        result = npus.scan()

        assert device(result, "accel0-0").numa_nodes == expected
        assert not result.problems

    @pytest.mark.parametrize("text", ["x", "0-1", "9" * 5000, "\0\0"])
    def test_nonsense_costs_the_numa_node_alone(self, npus: HandmadeNpus, text: str) -> None:
        npus.add(attributes={"numa_node": text})
        result = npus.scan()

        assert device(result, "accel0-0").numa_nodes == ()
        ((subject, reason),) = told(result)
        assert subject == "accel0"
        assert reason.startswith("no NUMA node is told: ")


class TestClassDirectory:
    def test_without_it_nothing_is_offered_and_that_is_told(self, npus: HandmadeNpus) -> None:
        npus.accel.rmdir()
        result = npus.scan()

        assert not result.devices
        assert told(result) == [(str(npus.accel), "it does not exist: no driver of accelerators is loaded")]

    def test_one_that_cannot_be_listed_is_an_os_error(self, npus: HandmadeNpus) -> None:
        npus.accel.rmdir()
        npus.accel.symlink_to("accel")

        with pytest.raises(OSError, match="class/accel"):
            npus.scan()

    def test_accelerators_are_listed_by_number_not_by_spelling(self, npus: HandmadeNpus) -> None:
        for name in ("accel10", "accel9", "accel2"):
            npus.add(name)

        assert ids(npus.scan()) == {"accel": ["accel2-0", "accel9-0", "accel10-0"]}

    @pytest.mark.parametrize("name", ["accel", "accel0x", "accelD0", "Accel0", "accel\u0660", "accel-1", "accel1\n"])
    def test_other_names_are_ignored(self, good: HandmadeNpus, name: str) -> None:
        (good.accel / name).symlink_to("accel0")

        assert told_but_of_good(good) == []

    def test_an_entry_that_vanishes_while_it_is_read_is_not_spoken_of(
        self, good: HandmadeNpus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        there = os.listdir

        def listed(directory: Path | str) -> list[str]:
            """As it was a moment ago."""
            return [*there(directory), *(["accel1"] if directory == good.accel else [])]

        monkeypatch.setattr(os, "listdir", listed)

        assert told_but_of_good(good) == []


class TestHardware:
    @pytest.mark.parametrize("pci_id", [f"{id_:#06x}" for id_ in PCI_IDS])
    def test_every_id_of_the_reference_is_offered_without_a_driver_link(self, npus: HandmadeNpus, pci_id: str) -> None:
        npus.add(attributes={"device": pci_id}, driver=None)
        result = npus.scan()

        assert ids(result) == {"accel": ["accel0-0"]}
        assert not result.problems

    @pytest.mark.parametrize("vendor", ["0x17cb", "0x1022", "0x1da3", "0x0000"])
    def test_another_vendors_accelerator_is_an_ordinary_sight(self, good: HandmadeNpus, vendor: str) -> None:
        good.add("accel1", attributes={"vendor": vendor})

        assert told_but_of_good(good) == []
        assert rejection(good.scan(), "accel1").text == f"its vendor is {vendor}, not Intel (0x8086)"

    @pytest.mark.parametrize("text", ["0X8086", "8086", "0x8086  ", "  0x8086\t", "0x8086\n"])
    def test_an_id_is_read_in_any_spelling(self, npus: HandmadeNpus, text: str) -> None:
        npus.add(attributes={"vendor": text, "device": "0x643E"})

        assert ids(npus.scan()) == {"accel": ["accel0-0"]}

    @pytest.mark.parametrize("text", ["", "intel", "0x", "-1", "0x8086h", "0x" + "0" * 80, "\0\1\2", "x" * 100_000])
    @pytest.mark.parametrize("attribute", ["vendor", "device"])
    def test_nonsense_costs_its_accelerator_and_names_the_file(
        self, good: HandmadeNpus, attribute: str, text: str
    ) -> None:
        good.add("accel1", attributes={attribute: text})
        ((subject, reason),) = told_but_of_good(good)

        assert subject == "accel1"
        assert f"{good.accel}/accel1/device/{attribute}: expected " in reason
        assert reason.isprintable()
        assert len(reason) < 400

    @pytest.mark.parametrize("attribute", ["vendor", "device"])
    def test_an_attribute_that_cannot_be_read_costs_its_accelerator(self, good: HandmadeNpus, attribute: str) -> None:
        good.add("accel1", attributes={attribute: None})
        ((subject, reason),) = told_but_of_good(good)

        assert subject == "accel1"
        assert f"device/{attribute}" in reason

    def test_an_unknown_id_is_offered_for_its_driver_and_that_is_told(self, npus: HandmadeNpus) -> None:
        npus.add(attributes={"device": "0xd80e"})
        result = npus.scan()

        assert ids(result) == {"accel": ["accel0-0"]}
        assert told(result) == [("accel0", "offered for its driver intel_vpu: its PCI id 0xd80e is new")]

    @pytest.mark.parametrize("driver", [None, "habanalabs"])
    def test_an_unknown_id_with_another_driver_or_none_is_not_offered(
        self, good: HandmadeNpus, driver: str | None
    ) -> None:
        good.add("accel1", attributes={"device": "0xd80e"}, driver=driver)

        expected = "its PCI id 0xd80e is none of an NPU's, and its driver is not intel_vpu"
        assert told_but_of_good(good) == [("accel1", expected)]

    def test_the_administrators_lists_rule(self, npus: HandmadeNpus) -> None:
        npus.add("accel0", attributes={"device": "0x643E"})
        npus.add("accel1", attributes={"device": "0xb03e"})

        assert ids(npus.scan(allow_ids=("0x643e",))) == {"accel": ["accel0-0"]}
        assert ids(npus.scan(deny_ids=("0x643e",))) == {"accel": ["accel1-0"]}
        assert rejection(npus.scan(deny_ids=("0x643e",)), "accel0").expected
        assert "--allow-ids" in rejection(npus.scan(allow_ids=("0x643e",)), "accel1").text


class TestDeviceFile:
    def test_a_missing_one_costs_its_accelerator(self, good: HandmadeNpus) -> None:
        good.add("accel1", file=False)

        assert told_but_of_good(good) == [("accel1", f"it has no device file {good.dev}/accel/accel1")]

    def test_below_another_root_any_file_stands_for_a_device(self, npus: HandmadeNpus) -> None:
        npus.add("accel0", file=False)
        (npus.dev / "accel/accel0").mkdir()

        assert ids(npus.scan()) == {"accel": ["accel0-0"]}

    @pytest.mark.parametrize(("kind", "word"), [("file", "regular file"), ("directory", "directory")])
    def test_in_the_real_dev_only_character_devices_count(self, tmp_path: Path, kind: str, word: str) -> None:
        path = tmp_path / "accel0"
        path.mkdir() if kind == "directory" else path.touch()

        with pytest.raises(RejectedNpuError, match=f"{path}: expected a character device, found a {word}"):
            check_device_file(path, dev=Path("/dev"))
        check_device_file(Path("/dev/null"), dev=Path("/dev"))

    def test_a_link_is_followed_and_named_itself(self, npus: HandmadeNpus) -> None:
        npus.add("accel0", file=False)
        (npus.dev / "npu").touch()
        (npus.dev / "accel/accel0").symlink_to("../npu")

        assert device(npus.scan(), "accel0-0").nodes[0].host_path == "/dev/accel/accel0"

    def test_a_link_in_a_loop_costs_its_accelerator(self, good: HandmadeNpus) -> None:
        good.add("accel1", file=False)
        (good.dev / "accel/accel1").symlink_to("accel1")
        ((subject, reason),) = told_but_of_good(good)

        assert subject == "accel1"
        assert "Too many levels of symbolic links" in reason

    def test_a_directory_that_was_made_anew_behind_a_mount_is_explained(self, npus: HandmadeNpus) -> None:
        npus.add("accel0", file=False)
        (npus.dev / "accel").rmdir()
        (npus.root / "old").mkdir()
        removed = os.open(npus.root / "old", os.O_DIRECTORY)
        (npus.root / "old").rmdir()  # a path that leads to a removed directory, as a mount does
        (npus.dev / "accel").symlink_to(f"/proc/self/fd/{removed}")
        try:
            assert "mount /dev instead of it" in rejection(npus.scan(), "accel0").text
        finally:
            os.close(removed)


class TestCdi:
    def test_by_default_there_is_none(self, good: HandmadeNpus) -> None:
        assert device(good.scan(), "accel0-0").cdi is None

    def test_each_npu_is_a_cdi_device_that_its_shares_have_in_common(self, good: HandmadeNpus) -> None:
        result = good.scan(cdi=True, shared_dev_num=2)
        cdi = device(result, "accel0-0").cdi

        assert cdi is not None
        assert cdi == device(result, "accel0-1").cdi
        assert cdi.qualified_name == "intel.cdi.k8s.io/npu=accel0"
        assert render(cdi) == CDI_FILE
