import contextlib
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.kernel.topology import TopologyError, device_directory, numa_nodes, numa_nodes_of_files

NULL = Path("/dev/null")  # character device 1:3 on every machine


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    root = tmp_path / "sys"
    (root / "devices").mkdir(parents=True)
    return root


def directory(sysfs: Path, path: str, **attributes: str) -> Path:
    """A directory below sysfs, with attributes of these names and texts."""
    made = sysfs / path
    made.mkdir(parents=True, exist_ok=True)
    for name, text in attributes.items():
        (made / name).write_text(f"{text}\n")
    return made


def function(sysfs: Path, address: str, node: int) -> Path:
    """A PCI function on a NUMA node."""
    return directory(sysfs, f"devices/pci0000:00/{address}", numa_node=str(node), local_cpulist="0-15")


class TestDirectoryOfADevice:
    def test_a_character_device_is_found_by_its_number(self, sysfs: Path) -> None:
        hardware = directory(sysfs, "devices/virtual/mem/null")
        directory(sysfs, "dev/char")
        (sysfs / "dev/char/1:3").symlink_to("../../devices/virtual/mem/null")

        assert device_directory(NULL, sysfs=sysfs) == hardware

    def test_a_link_to_a_device_is_followed(self, sysfs: Path, tmp_path: Path) -> None:
        hardware = directory(sysfs, "devices/virtual/mem/null")
        directory(sysfs, "dev/char")
        (sysfs / "dev/char/1:3").symlink_to(hardware)
        (tmp_path / "1:3").symlink_to(NULL)

        assert device_directory(tmp_path / "1:3", sysfs=sysfs) == hardware

    def test_a_file_and_a_directory_stand_for_the_disk_that_holds_them(self, sysfs: Path, tmp_path: Path) -> None:
        number = tmp_path.stat().st_dev
        disk = directory(sysfs, "devices/virtual/block/disk")
        directory(sysfs, "dev/block")
        (sysfs / f"dev/block/{os.major(number)}:{os.minor(number)}").symlink_to(disk)
        (tmp_path / "file").touch()

        for path in (tmp_path, tmp_path / "file"):
            if os.major(number):
                assert device_directory(path, sysfs=sysfs) == disk
            else:  # such as a temporary directory in memory
                with pytest.raises(TopologyError, match="virtual device"):
                    device_directory(path, sysfs=sysfs)

    @pytest.mark.parametrize("path", ["/dev/no-such-device", ""])
    def test_a_missing_device_is_named(self, sysfs: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(sysfs)
        missing = Path(path) if path else Path("gone")

        with pytest.raises(TopologyError, match=f"{missing}: the device does not exist"):
            device_directory(missing, sysfs=sysfs)

    def test_a_pipe_is_no_device(self, sysfs: Path, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")

        with pytest.raises(TopologyError, match=r"pipe: expected a device"):
            device_directory(tmp_path / "pipe", sysfs=sysfs)

    def test_a_device_that_sysfs_does_not_know_is_an_os_error(self, sysfs: Path) -> None:
        with pytest.raises(FileNotFoundError, match="dev/char/1:3"):
            device_directory(NULL, sysfs=sysfs)


class TestClimb:
    def test_a_copied_number_is_replaced_by_that_of_the_level_with_cpus(self, sysfs: Path) -> None:
        directory(sysfs, "devices/pci0000:f2/0000:f2:01.0", numa_node="1", local_cpulist="56-111,168-223")
        directory(sysfs, "devices/pci0000:f2/0000:f2:01.0/dsa6", numa_node="1")
        queue = directory(sysfs, "devices/pci0000:f2/0000:f2:01.0/dsa6/wq6.2/dsa!wq6.2", dev="509:4")

        assert numa_nodes(queue, sysfs=sysfs) == (1,)

    def test_minus_one_everywhere_names_no_node(self, sysfs: Path) -> None:
        directory(sysfs, "devices/pci0000:f2/0000:f2:01.0", numa_node="-1", local_cpulist="0-3")
        engine = directory(sysfs, "devices/pci0000:f2/0000:f2:01.0/dsa6", numa_node="-1")

        assert numa_nodes(engine, sysfs=sysfs) == ()

    def test_a_number_without_cpus_anywhere_is_a_socket(self, sysfs: Path) -> None:
        start = directory(sysfs, "devices/pci0000:f2/0000:f2:01.0", numa_node="3")

        assert numa_nodes(start, sysfs=sysfs) == ()

    def test_a_number_counts_when_only_the_level_above_has_cpus(self, sysfs: Path) -> None:
        directory(sysfs, "devices/pci0000:f2/0000:f2:01.0", numa_node="-1", local_cpulist="0-3")
        engine = directory(sysfs, "devices/pci0000:f2/0000:f2:01.0/dsa6", numa_node="2")

        assert numa_nodes(engine, sysfs=sysfs) == (2,)

    def test_the_first_level_that_knows_wins(self, sysfs: Path) -> None:
        directory(sysfs, "devices/pci0000:00", numa_node="1", local_cpulist="16-31")
        near = directory(sysfs, "devices/pci0000:00/0000:00:02.0", numa_node="0", local_cpulist="0-15")
        bare = directory(sysfs, "devices/pci0000:00/0000:00:03.0")

        assert numa_nodes(near, sysfs=sysfs) == (0,)
        assert numa_nodes(bare, sysfs=sysfs) == (1,)

    def test_an_empty_attribute_is_as_good_as_none(self, sysfs: Path) -> None:
        directory(sysfs, "devices/pci0000:00", numa_node="1", local_cpulist="16-31")
        start = directory(sysfs, "devices/pci0000:00/0000:00:02.0", numa_node="", local_cpulist="")

        assert numa_nodes(start, sysfs=sysfs) == (1,)

    def test_it_ends_below_devices(self, sysfs: Path) -> None:
        directory(sysfs, "devices", numa_node="1", local_cpulist="0")
        inside = directory(sysfs, "devices/platform")
        outside = directory(sysfs, "class/drm/card0/device", numa_node="1", local_cpulist="0")

        assert numa_nodes(inside, sysfs=sysfs) == ()
        assert numa_nodes(outside, sysfs=sysfs) == ()

    def test_links_lead_to_the_device_also_below_a_root_that_is_a_link(self, sysfs: Path, tmp_path: Path) -> None:
        function(sysfs, "0000:00:02.0", 1)
        directory(sysfs, "class/drm")
        (sysfs / "class/drm/card0").symlink_to("../../devices/pci0000:00/0000:00:02.0")
        (tmp_path / "link").symlink_to(sysfs)

        assert numa_nodes(tmp_path / "link/class/drm/card0", sysfs=tmp_path / "link") == (1,)

    @pytest.mark.parametrize("text", ["0-1", "one", "-2", "1024", "9" * 4000, "0,-1", "0x1", "1_0", "1\0", "\u0661"])
    def test_nonsense_instead_of_a_node_names_file_and_text(self, sysfs: Path, text: str) -> None:
        start = directory(sysfs, "devices/pci0000:00", numa_node=text, local_cpulist="0")

        with pytest.raises(TopologyError, match=r"pci0000:00/numa_node: expected .*, found '"):
            numa_nodes(start, sysfs=sysfs)

    @pytest.mark.parametrize("text", ["cpus", "0-", "0,,1", "\x01", "1" * 5000])
    def test_nonsense_instead_of_cpus_names_file_and_text(self, sysfs: Path, text: str) -> None:
        start = directory(sysfs, "devices/pci0000:00", numa_node="0", local_cpulist=text)

        with pytest.raises(TopologyError, match=r"pci0000:00/local_cpulist: expected .*, found '"):
            numa_nodes(start, sysfs=sysfs)

    def test_a_start_that_is_gone_or_a_loop_is_an_os_error(self, sysfs: Path) -> None:
        (sysfs / "devices/loop").symlink_to("loop")

        for name in ("gone", "loop"):
            with pytest.raises(OSError, match=name):
                numa_nodes(sysfs / "devices" / name, sysfs=sysfs)

    def test_a_thousand_links_in_a_row_are_an_os_error(self, sysfs: Path) -> None:
        for number in range(1500):
            (sysfs / f"devices/{number}").symlink_to(f"{number + 1}")
        directory(sysfs, "devices/1500")

        with pytest.raises(OSError, match="symbolic links"):
            numa_nodes(sysfs / "devices/0", sysfs=sysfs)

    def test_a_deep_tree_is_climbed_to_its_top(self, sysfs: Path) -> None:
        directory(sysfs, "devices/top", numa_node="1", local_cpulist="0")
        deep = directory(sysfs, "devices/top/" + "/".join("d" * 200), numa_node="0")

        assert numa_nodes(deep, sysfs=sysfs) == (1,)


class TestDevicesMadeOfOthers:
    def test_an_array_is_near_to_all_its_disks(self, sysfs: Path) -> None:
        array = directory(sysfs, "devices/virtual/block/md0/slaves").parent
        for name, node in (("sda", 0), ("sdb", 1)):
            disk = directory(function(sysfs, f"0000:0{node}:01.0", node), f"block/{name}")
            (array / "slaves" / name).symlink_to(disk)

        assert numa_nodes(array, sysfs=sysfs) == (0, 1)

    def test_arrays_of_one_another_are_each_looked_at_once(self, sysfs: Path) -> None:
        arrays = [directory(sysfs, f"devices/virtual/block/md{number}/slaves") for number in range(3)]
        for array in arrays:
            for other in arrays:
                (array / other.parent.name).symlink_to(other.parent)
        (arrays[2] / "disk").symlink_to(function(sysfs, "0000:00:01.0", 1))

        assert numa_nodes(arrays[0].parent, sysfs=sysfs) == (1,)

    def test_a_chain_of_arrays_may_be_long(self, sysfs: Path) -> None:
        arrays = [directory(sysfs, f"devices/virtual/block/md{number}/slaves") for number in range(1500)]
        for array, next_one in pairwise(arrays):
            (array / "next").symlink_to(next_one.parent)
        (arrays[-1] / "disk").symlink_to(function(sysfs, "0000:00:01.0", 1))

        assert numa_nodes(arrays[0].parent, sysfs=sysfs) == (1,)

    def test_trouble_with_a_disk_is_trouble_with_the_array(self, sysfs: Path) -> None:
        array = directory(sysfs, "devices/virtual/block/md0/slaves").parent
        (array / "slaves/sda").symlink_to("../sda")

        with pytest.raises(OSError, match="sda"):
            numa_nodes(array, sysfs=sysfs)

    def test_a_vfio_group_is_near_to_all_its_functions(self, sysfs: Path) -> None:
        group = directory(sysfs, "devices/virtual/vfio/42")
        devices = directory(sysfs, "kernel/iommu_groups/42/devices")
        for address, node in (("0000:00:04.0", 0), ("0000:00:05.0", 1)):
            (devices / address).symlink_to(function(sysfs, address, node))

        assert numa_nodes(group, sysfs=sysfs) == (0, 1)

    def test_a_mediated_device_is_near_to_its_function(self, sysfs: Path) -> None:
        group = directory(sysfs, "devices/virtual/vfio/42")
        devices = directory(sysfs, "kernel/iommu_groups/42/devices")
        uuid = "a297db4a-f4c2-11e6-90f6-d3b88d6c9525"
        (devices / uuid).symlink_to(directory(function(sysfs, "0000:00:04.0", 1), uuid))

        assert numa_nodes(group, sysfs=sysfs) == (1,)

    def test_other_virtual_devices_and_unreadable_groups_name_no_node(self, sysfs: Path) -> None:
        container = directory(sysfs, "devices/virtual/misc/vfio")
        group = directory(sysfs, "devices/virtual/vfio/43")

        assert numa_nodes(container, sysfs=sysfs) == ()
        assert numa_nodes(group, sysfs=sysfs) == ()


def test_several_device_files_are_near_to_all_their_nodes(sysfs: Path) -> None:
    directory(sysfs, "dev/char")
    for number, node in (("1:3", 1), ("1:5", 0)):
        (sysfs / "dev/char" / number).symlink_to(function(sysfs, f"0000:00:0{node}.0", node))

    assert numa_nodes_of_files([NULL, Path("/dev/zero")], sysfs=sysfs) == (0, 1)
    assert numa_nodes_of_files([], sysfs=sysfs) == ()


@given(st.binary(max_size=12), st.binary(max_size=12))
def test_any_bytes_in_the_attributes_give_nodes_or_a_topology_error(
    tmp_path_factory: pytest.TempPathFactory, node: bytes, cpus: bytes
) -> None:
    sysfs = tmp_path_factory.getbasetemp() / "any-bytes-topology"
    start = directory(sysfs, "devices/pci0000:00")
    (start / "numa_node").write_bytes(node)
    (start / "local_cpulist").write_bytes(cpus)
    with contextlib.suppress(TopologyError):
        assert all(0 <= number < 1024 for number in numa_nodes(start, sysfs=sysfs))
