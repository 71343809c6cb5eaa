import stat
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpu_simulator.entries import Attribute, Link
from xpu_simulator.node import Gpu
from xpu_simulator.tree import SimulatedTree


@pytest.fixture
def tree(tmp_path: Path) -> SimulatedTree:
    return SimulatedTree(tmp_path, device_nodes=False)


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


XE = Gpu(
    card=2, model="arc-b580", render=129, pci_address="0000:17:00.0", bridges=["0000:15:01.0", "0000:16:00.0"], mei=[3]
)


def test_a_card_is_linked_from_its_class_into_the_device_tree(tree: SimulatedTree) -> None:
    tree.add_gpu(XE)

    card = tree.sysfs / "class/drm/card2"
    assert str(card.readlink()) == "../../devices/pci0000:15/0000:15:01.0/0000:16:00.0/0000:17:00.0/drm/card2"
    assert (card / "device").resolve().name == "0000:17:00.0"
    assert (card / "device/driver").resolve() == tree.sysfs / "bus/pci/drivers/xe"
    assert {path.name for path in (card / "device/drm").iterdir()} == {"card2", "renderD129"}


def test_attributes_read_as_the_kernel_writes_them(tree: SimulatedTree) -> None:
    tree.add_gpu(Gpu(model="max-1550", numa_node=1, vfs=0))

    device = tree.sysfs / "class/drm/card0/device"
    assert (device / "vendor").read_bytes() == b"0x8086\n"
    assert (device / "device").read_bytes() == b"0x0bd5\n"
    assert (device / "class").read_bytes() == b"0x038000\n"
    assert (device / "numa_node").read_bytes() == b"1\n"
    assert (device / "local_cpulist").read_bytes() == b"16-31\n"
    assert (device / "sriov_numvfs").read_bytes() == b"0\n"


def test_a_card_without_sr_iov_has_no_such_attribute(tree: SimulatedTree) -> None:
    tree.add_gpu(Gpu())
    assert not (tree.sysfs / "class/drm/card0/device/sriov_numvfs").exists()


def test_tiles_are_where_each_driver_shows_them(tree: SimulatedTree) -> None:
    tree.add_gpu(Gpu(model="max-1550"))
    tree.add_gpu(Gpu(card=1, model="max-1550", driver="xe"))

    assert {path.name for path in (tree.sysfs / "class/drm/card0/gt").iterdir()} == {"gt0", "gt1"}
    assert {path.name for path in (tree.sysfs / "class/drm/card1/device").glob("tile?")} == {"tile0", "tile1"}


def test_character_devices_lead_to_their_sysfs_directories(tree: SimulatedTree) -> None:
    tree.add_gpu(XE)

    for number, name in (("226:2", "card2"), ("226:129", "renderD129"), ("240:3", "mei3")):
        assert (tree.sysfs / "dev/char" / number).resolve().name == name
        assert (tree.sysfs / "dev/char" / number / "dev").read_text() == f"{number}\n"


def test_dev_holds_nodes_and_relative_links_by_path(tree: SimulatedTree) -> None:
    tree.add_gpu(XE)

    assert everything(tree.dev) == {
        "dri",
        "dri/by-path",
        "dri/by-path/pci-0000:17:00.0-card",
        "dri/by-path/pci-0000:17:00.0-render",
        "dri/card2",
        "dri/renderD129",
        "mei3",
    }
    assert str((tree.dev / "dri/by-path/pci-0000:17:00.0-render").readlink()) == "../renderD129"


def test_mei_devices_are_below_the_card_under_the_name_of_its_driver(tree: SimulatedTree) -> None:
    tree.add_gpu(XE)
    (mei,) = (tree.sysfs / "class/drm/card2/device").glob("*.mei-*/mei/*")
    assert str(mei.relative_to(tree.sysfs / "class/drm/card2/device")) == "xe.mei-gscfi.5888/mei/mei3"


def test_outputs_stand_beside_the_cards_and_are_none(tree: SimulatedTree) -> None:
    tree.add_gpu(Gpu(model="arc-a770"))
    assert (tree.sysfs / "class/drm/card0-DP-1/status").exists()
    tree.add_gpu(Gpu(card=1, model="flex-170"))
    assert not (tree.sysfs / "class/drm/card1-DP-1").exists()


def test_virtual_functions_have_cards_and_know_their_physical_function(tree: SimulatedTree) -> None:
    tree.add_gpu(Gpu(vfs=2))

    assert {path.name for path in (tree.sysfs / "class/drm").glob("card*")} == {"card0", "card1", "card2"}
    physical = (tree.sysfs / "class/drm/card0/device").resolve()
    assert (tree.sysfs / "class/drm/card2/device/physfn").resolve() == physical
    assert (physical / "virtfn1").resolve() == (tree.sysfs / "class/drm/card2/device").resolve()
    assert (physical / "sriov_numvfs").read_text() == "2\n"
    assert not (tree.sysfs / "class/drm/card1/device/sriov_numvfs").exists()


def test_virtual_functions_of_vfio_pci_have_no_cards(tree: SimulatedTree) -> None:
    tree.add_gpu(Gpu(vfs=2, vf_driver="vfio-pci"))

    assert {path.name for path in (tree.sysfs / "class/drm").glob("card*")} == {"card0"}
    assert {path.name for path in (tree.sysfs / "bus/pci/drivers/vfio-pci").iterdir()} == {
        "0000:12:00.1",
        "0000:12:00.2",
    }


@pytest.mark.parametrize("gpu", [XE, Gpu(vfs=3), Gpu(model="iris-xe"), Gpu(by_path=False), Gpu(driver="vfio-pci")])
def test_adding_and_removing_a_card_leaves_other_cards_as_they_were(tree: SimulatedTree, gpu: Gpu) -> None:
    other = Gpu(card=9)
    tree.add_gpu(gpu)
    tree.remove_gpu(gpu)
    tree.add_gpu(other)
    before = everything(tree.root)

    tree.add_gpu(gpu)
    tree.remove_gpu(gpu)

    assert everything(tree.root) == before


def test_with_the_last_card_the_directories_in_dev_disappear(tree: SimulatedTree) -> None:
    tree.add_gpu(XE)
    tree.remove_gpu(XE)
    assert everything(tree.dev) == set()


def test_rebinding_moves_a_card_to_the_other_driver(tree: SimulatedTree) -> None:
    tree.add_gpu(Gpu(model="flex-170"))

    rebound = tree.rebind(Gpu(model="flex-170"), "xe")

    assert rebound.driver == "xe"
    assert (tree.sysfs / "class/drm/card0/device/driver").resolve().name == "xe"
    tree.remove_gpu(rebound)
    assert not list((tree.sysfs / "class/drm").iterdir())


def test_a_card_given_to_vfio_is_on_the_bus_but_no_card(tree: SimulatedTree) -> None:
    tree.add_gpu(Gpu())
    tree.rebind(Gpu(), "vfio-pci")
    assert not list((tree.sysfs / "class/drm").iterdir())
    assert (tree.sysfs / "bus/pci/devices/0000:12:00.0/driver").resolve().name == "vfio-pci"


def test_udevs_links_may_come_later(tree: SimulatedTree) -> None:
    tree.add_gpu(Gpu(), by_path=False)
    assert not (tree.dev / "dri/by-path").exists()
    tree.add_by_path_links(Gpu())
    assert (tree.dev / "dri/by-path/pci-0000:12:00.0-card").exists()


def test_a_card_cannot_be_added_twice(tree: SimulatedTree) -> None:
    tree.add_gpu(Gpu())
    with pytest.raises(FileExistsError):
        tree.add_gpu(Gpu())


def test_device_nodes_can_be_opened(tmp_path: Path) -> None:
    tree = SimulatedTree(tmp_path)
    tree.add_gpu(Gpu())
    card = tree.dev / "dri/card0"
    assert stat.S_ISCHR(card.stat().st_mode) == tree.device_nodes
    if tree.device_nodes:
        card.write_bytes(b"into the void")


@pytest.mark.parametrize("path", ["../outside", "/outside", "sys/../../outside"])
def test_nothing_is_written_outside_the_root(tree: SimulatedTree, path: str) -> None:
    with pytest.raises(ValueError, match="not below the simulated root"):
        tree.write([Attribute(PurePosixPath(path), "x")])
    with pytest.raises(ValueError, match="not below the simulated root"):
        tree.erase([Link(PurePosixPath(path), PurePosixPath("sys"))])


def test_a_device_is_removed_even_when_somebody_broke_its_directory(tree: SimulatedTree) -> None:
    tree.add_gpu(XE)
    vendor = tree.sysfs / "class/drm/card2/device/vendor"
    vendor.unlink()
    vendor.mkdir()
    (vendor / "surprise").touch()
    (tree.dev / "dri/card2").unlink()

    tree.remove_gpu(XE)

    assert not (tree.sysfs / "class/drm/card2").exists()


@settings(max_examples=20, deadline=None)
@given(
    gpus=st.lists(
        st.builds(
            lambda card, model, driver, vfs: {"card": card * 10, "model": model, "driver": driver, "vfs": vfs},
            st.integers(0, 12),
            st.sampled_from(["flex-170", "max-1550", "arc-b580"]),
            st.sampled_from(["i915", "xe", "vfio-pci"]),
            st.none() | st.integers(0, 3),
        ),
        max_size=4,
        unique_by=lambda gpu: gpu["card"],
    )
)
def test_no_link_dangles_and_no_card_leaves_a_trace(
    gpus: list[dict[str, object]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    tree = SimulatedTree(tmp_path_factory.mktemp("tree"), device_nodes=False)
    cards = [Gpu.model_validate(gpu) for gpu in gpus]
    for gpu in cards:
        tree.add_gpu(gpu)
    assert [path for path in tree.root.rglob("*") if path.is_symlink() and not path.exists()] == []
    for gpu in cards:
        tree.remove_gpu(gpu)
    assert [path for path in tree.root.rglob("*") if not path.is_dir()] == []
