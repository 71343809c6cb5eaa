"""The simulated kernel takes and refuses writes as the real one does, with its errno."""

import errno
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from provisioned import PF, DlbNode, IdxdNode
from xpu_simulator.families.idxd.device import Dsa

QUEUE: Sequence[tuple[str, str]] = (
    ("wq11.0/group_id", "0"),
    ("wq11.0/mode", "shared"),
    ("wq11.0/type", "user"),
    ("wq11.0/size", "16"),
    ("wq11.0/priority", "10"),
    ("wq11.0/driver_name", "user"),
    ("wq11.0/name", "app"),
    ("wq11.0/threshold", "12"),
    ("engine11.0/group_id", "0"),
)
DEVICES = "bus/dsa/devices"
ENABLE = "bus/dsa/drivers/idxd/bind"
ENABLE_QUEUE = "bus/dsa/drivers/user/bind"


@pytest.fixture
def node(tmp_path: Path) -> IdxdNode:
    return IdxdNode(tmp_path)


def refusal(node: IdxdNode | DlbNode, path: str, text: str) -> int | None:
    with pytest.raises(OSError, match=r".") as error:
        node.sysfs.write(path, text)
    return error.value.errno


def configure(node: IdxdNode, *without: str) -> None:
    for path, text in QUEUE:
        if path not in without:
            node.sysfs.write(f"{DEVICES}/{path}", text)


def enable(node: IdxdNode) -> None:
    configure(node)
    node.sysfs.write(ENABLE, "dsa11")
    node.sysfs.write(ENABLE_QUEUE, "wq11.0")


def test_binding_a_queue_makes_its_files_and_unbinding_takes_them_away(node: IdxdNode) -> None:
    enable(node)
    queue = node.tree.sysfs / DEVICES / "wq11.0"

    assert (queue / "dsa!wq11.0/dev").exists()
    assert (queue / "driver").resolve().name == "user"
    assert (node.tree.dev / "dsa/wq11.0").exists()
    node.sysfs.write(f"{DEVICES}/wq11.0/driver/unbind", "wq11.0")
    assert not (queue / "dsa!wq11.0").exists()
    assert not (queue / "cdev_minor").exists()
    assert not (node.tree.dev / "dsa").exists()
    assert (queue / "type").read_text() == "none\n"
    assert (queue / "size").read_text() == "16\n"


def test_disabling_a_device_disables_its_queues_and_sets_them_back(node: IdxdNode) -> None:
    enable(node)
    node.sysfs.write(f"{DEVICES}/dsa11/driver/unbind", "dsa11")

    assert node.sysfs.read(f"{DEVICES}/dsa11/state") == "disabled"
    assert node.sysfs.read(f"{DEVICES}/wq11.0/size") == "0"
    assert node.sysfs.read(f"{DEVICES}/engine11.0/group_id") == "-1"


def test_attributes_of_what_is_enabled_are_refused(node: IdxdNode) -> None:
    enable(node)

    assert refusal(node, f"{DEVICES}/wq11.0/size", "8") == errno.EPERM
    assert refusal(node, f"{DEVICES}/wq11.0/priority", "8") == errno.EPERM
    assert refusal(node, f"{DEVICES}/wq11.0/threshold", "8") == errno.ENXIO
    assert refusal(node, f"{DEVICES}/wq11.0/block_on_fault", "1") == errno.ENXIO
    assert refusal(node, f"{DEVICES}/group11.0/read_buffers_allowed", "8") == errno.EPERM
    assert refusal(node, ENABLE, "dsa11") == errno.EBUSY
    assert refusal(node, ENABLE_QUEUE, "wq11.0") == errno.EBUSY


@pytest.mark.parametrize(
    ("path", "text", "number"),
    [
        ("wq11.0/size", "129", errno.EINVAL),
        ("wq11.0/group_id", "4", errno.EINVAL),
        ("wq11.0/mode", "both", errno.EINVAL),
        ("wq11.0/type", "mdev", errno.EINVAL),
        ("wq11.0/priority", "16", errno.EINVAL),
        ("wq11.0/threshold", "0", errno.EINVAL),
        ("wq11.0/op_config", "ffffffff", errno.EINVAL),
        ("wq11.0/state", "enabled", errno.EACCES),
        ("wq11.0/none", "1", errno.ENOENT),
        ("wq11.0", "1", errno.EISDIR),
        ("group11.0/traffic_class_a", "2", errno.EPERM),
        ("dsa11/driver/unbind", "dsa11", errno.ENOENT),
    ],
)
def test_values_that_cannot_be_are_refused(node: IdxdNode, path: str, text: str, number: int) -> None:
    assert refusal(node, f"{DEVICES}/{path}", text) == number


@pytest.mark.parametrize(
    ("missing", "status"),
    [("wq11.0/name", 0x80040000), ("wq11.0/threshold", 0x80060000), ("wq11.0/priority", 0x23)],
)
def test_a_queue_that_lacks_something_is_not_enabled_and_the_device_says_why(
    node: IdxdNode, missing: str, status: int
) -> None:
    configure(node, missing)
    node.sysfs.write(ENABLE, "dsa11")
    refusal(node, ENABLE_QUEUE, "wq11.0")

    assert node.sysfs.read(f"{DEVICES}/dsa11/cmd_status") == f"{status:#x}"
    assert node.sysfs.read(f"{DEVICES}/wq11.0/type") == "none"  # as the kernel leaves it


def test_a_queue_is_not_enabled_before_its_device_nor_a_device_with_half_a_group(node: IdxdNode) -> None:
    configure(node, "engine11.0/group_id")

    assert refusal(node, ENABLE_QUEUE, "wq11.0") == errno.ENXIO
    assert refusal(node, ENABLE, "dsa11") == errno.ENXIO
    assert node.sysfs.read(f"{DEVICES}/dsa11/cmd_status") == "0x15"
    assert refusal(node, ENABLE, "dsa12") == errno.ENODEV
    assert refusal(node, "bus/dsa/drivers/dmaengine/bind", "wq11.9") == errno.ENODEV


def test_a_write_that_clears_and_one_that_rounds(node: IdxdNode) -> None:
    configure(node)
    node.sysfs.write(f"{DEVICES}/wq11.0/type", "kernel")
    node.sysfs.write(f"{DEVICES}/wq11.0/max_transfer_size", "5000")
    node.sysfs.write(f"{DEVICES}/wq11.0/mode", "dedicated")

    assert node.sysfs.read(f"{DEVICES}/wq11.0/name") == ""
    assert node.sysfs.read(f"{DEVICES}/wq11.0/max_transfer_size") == "8192"
    assert node.sysfs.read(f"{DEVICES}/wq11.0/threshold") == "0"


def test_a_function_without_override_is_none_of_vfios(node: IdxdNode) -> None:
    address = Dsa(number=11).pci_address
    assert refusal(node, "bus/pci/drivers/vfio-pci/bind", address) == errno.EBUSY
    node.sysfs.write(f"bus/pci/devices/{address}/driver/unbind", address)
    assert not (node.tree.sysfs / DEVICES / "dsa11").exists()
    assert refusal(node, "bus/pci/drivers/vfio-pci/bind", address) == errno.ENODEV
    assert refusal(node, "bus/pci/drivers/idxd/unbind", address) == errno.ENODEV


def test_load_balancers_refuse_counts_and_shares_as_the_kernel_does(tmp_path: Path) -> None:
    node = DlbNode(tmp_path)
    count, share = f"bus/pci/devices/{PF}/sriov_numvfs", f"bus/pci/devices/{PF}/vf0_resources/num_ldb_ports"
    unbind = "bus/pci/drivers/dlb2/unbind"

    assert refusal(node, count, "17") == errno.ERANGE
    assert refusal(node, count, "x") == errno.EINVAL
    node.sysfs.write(count, "2")
    assert refusal(node, count, "3") == errno.EBUSY
    assert refusal(node, share, "4") == errno.EPERM
    node.sysfs.write(unbind, "0000:7e:00.1")
    assert not (node.tree.dev / "dlb1").exists()
    assert refusal(node, unbind, "0000:7e:00.1") == errno.ENODEV
    assert refusal(node, share, "many") == errno.EPERM
    assert refusal(node, share, "65") == errno.EINVAL
    node.sysfs.write(share, "40")
    assert node.sysfs.read(f"bus/pci/devices/{PF}/avail_resources/num_ldb_ports") == "24"
    node.sysfs.write("bus/pci/drivers/dlb2/bind", "0000:7e:00.1")
    assert (node.tree.dev / "dlb1").exists()
    first, second = node.state().functions
    node.kernel.become(replace(node.state(), functions=(first, replace(second, in_use=True))))
    assert refusal(node, count, "0") == errno.EINVAL
    node.kernel.become(replace(node.state(), functions=(first, second)))
    node.sysfs.write(count, "0")
    assert node.sysfs.read(f"bus/pci/devices/{PF}/avail_resources/num_ldb_ports") == "64"
