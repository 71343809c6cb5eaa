"""DSA and IAA devices of a simulated node: what a description may say, what plugins find, what the kernel tells."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from handmade_idxd import paths
from scans import ids, told
from xpu_plugins.dsa.settings import DsaSettings
from xpu_plugins.dsa.vfio import VfioPlugin
from xpu_shared.idxd.accelerator import DSA, IAA, Accelerator
from xpu_shared.idxd.plugin import idxd_plugin
from xpu_shared.idxd.settings import IdxdSettings
from xpu_simulator.device import uevents
from xpu_simulator.families.idxd.description import QueueDescription
from xpu_simulator.families.idxd.device import Dsa, Iaa
from xpu_simulator.node import Node
from xpu_simulator.tree import SimulatedTree


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.skipif(os.geteuid() != 0, reason="needs root"))])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> SimulatedTree:
    return SimulatedTree(tmp_path, device_nodes=request.param)


def offered(tree: SimulatedTree, accelerator: Accelerator = DSA, **choices: int) -> dict[str, list[str]]:
    settings = IdxdSettings(sysfs_root=tree.sysfs, dev_root=tree.dev, **choices)  # type: ignore[arg-type]
    result = idxd_plugin(accelerator, settings).scan()
    assert not told(result)
    return ids(result)


def test_a_device_without_more_words_has_four_dedicated_queues_for_programs(tree: SimulatedTree) -> None:
    tree.add(Dsa(numa_node=1))
    tree.add(Iaa(number=1))

    assert offered(tree) == {"wq-user-dedicated": [f"wq-user-dedicated-wq0.{queue}-0" for queue in range(4)]}
    assert offered(tree, IAA) == {"wq-user-dedicated": [f"wq-user-dedicated-wq1.{queue}-0" for queue in range(4)]}
    result = idxd_plugin(DSA, IdxdSettings(sysfs_root=tree.sysfs, dev_root=tree.dev)).scan()
    first = result.devices["wq-user-dedicated"][0]
    assert paths(first) == ["/dev/dsa/wq0.0", "/dev/char/120:0"]
    assert first.numa_nodes == (1,)


def test_queues_of_all_kinds(tree: SimulatedTree) -> None:
    queues = [
        QueueDescription(queue=0, mode="shared", size=32),
        QueueDescription(queue=1, type="kernel"),
        QueueDescription(queue=5, enabled=False),
        QueueDescription(queue=7, type="kernel", driver_name="crypto", name="iaa_crypto"),
    ]
    tree.add(Iaa(number=3, queues=queues))

    assert offered(tree, IAA, shared_dev_num=2) == {
        "wq-user-shared": ["wq-user-shared-wq3.0-0", "wq-user-shared-wq3.0-1"],
        "wq-kernel-dedicated": ["wq-kernel-dedicated-wq3.1-0", "wq-kernel-dedicated-wq3.7-0"],
    }
    queue = tree.sysfs / "bus/dsa/devices/iax3/wq3.0"
    assert {name: (queue / name).read_text() for name in ("mode", "size", "threshold", "group_id", "name")} == {
        "mode": "shared\n",
        "size": "32\n",
        "threshold": "32\n",
        "group_id": "0\n",
        "name": "app30\n",
    }
    drivers = {path.parent.name: path.readlink().name for path in (queue.parent).glob("wq*/driver")}
    assert drivers == {"wq3.0": "user", "wq3.1": "dmaengine", "wq3.7": "crypto"}
    assert (queue.parent / "group3.0/work_queues").read_text() == "wq3.0\n"
    assert not (queue / "max_batch_size").exists()


def test_a_halted_device_is_there_without_queues(tree: SimulatedTree) -> None:
    tree.add(Dsa(state="halted"))

    assert offered(tree) == {}
    assert (tree.sysfs / "bus/dsa/devices/dsa0/state").read_text() == "halted\n"


def test_before_udev_there_are_no_links(tree: SimulatedTree) -> None:
    device = Dsa()
    tree.add(device, udev=False)
    assert (tree.dev / "dsa/wq0.0").exists()
    assert not (tree.dev / "char").exists()

    tree.add_udev_links(device)
    assert (tree.dev / "char/120:0").readlink() == Path("../dsa/wq0.0")


def test_what_goes_leaves_nothing_behind(tree: SimulatedTree) -> None:
    def entries() -> set[str]:
        return {str(path) for path in (*tree.sysfs.rglob("*"), *tree.dev.rglob("*"))}

    tree.add(Iaa(number=1))
    before = entries()
    tree.add(Dsa())
    tree.remove(Dsa())

    left = {Path(path).name for path in entries() - before}
    assert left <= {"40", "devices", "dmaengine"}, left  # directories above those of the device


def test_a_device_is_given_to_vfio_and_back(tree: SimulatedTree) -> None:
    tree.add(Dsa(iommu_group=44))
    at_vfio = tree.rebind(Dsa(iommu_group=44), "vfio-pci")
    settings = DsaSettings(sysfs_root=tree.sysfs, dev_root=tree.dev, driver="vfio-pci")

    assert offered(tree) == {}
    result = VfioPlugin(settings).scan()
    assert ids(result) == {"vfio": ["0000:6a:01.0"]}
    assert paths(result.devices["vfio"][0]) == ["/dev/vfio/44", "/dev/vfio/vfio"]

    tree.rebind(at_vfio, "idxd")
    assert len(offered(tree)["wq-user-dedicated"]) == 4


def test_the_kernel_tells_of_the_device_then_of_its_parts_then_of_the_files() -> None:
    events = uevents(Dsa(queues=[QueueDescription()]), "add")

    assert (events[0].action, events[0].subsystem) == ("add", "pci")
    assert {event.subsystem for event in events[1:-1]} == {"dsa"}
    assert events[1].devpath == "/devices/pci0000:6a/0000:6a:01.0/dsa0"
    assert events[-2].variables == {"MAJOR": "120", "MINOR": "0", "DEVNAME": "dsa/wq0.0"}
    assert (events[-1].action, events[-1].variables["DRIVER"]) == ("bind", "idxd")
    assert [event.action for event in uevents(Dsa(), "remove")][-1] == "remove"


def test_dsa_and_iaa_share_numbers_and_each_kind_has_every_second_one() -> None:
    node = Node.model_validate({"dsa": [{}, {}, {"number": 10}, {}], "iaa": [{}, {}]})

    assert [device.name for device in node.devices] == ["dsa0", "dsa2", "dsa10", "dsa12", "iax1", "iax3"]
    assert [device.pci_address for device in node.iaa] == ["0000:6a:02.0", "0000:6f:02.0"]


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ({"dsa": [{"number": 1}], "iaa": [{"number": 1}]}, "number 1 is that of dsa.0 and of iaa.0"),
        ({"dsa": [{"queues": [{"size": 96}, {"size": 48}]}]}, "sizes sum to 144, a device has 128"),
        ({"dsa": [{"queues": [{"queue": 1}, {"queue": 1}]}]}, "queue 1 is described twice"),
        ({"dsa": [{"queues": [{"queue": 8}]}]}, "less than 8"),
        ({"dsa": [{"queues": [{"priority": 0}]}]}, "an enabled queue needs"),
        ({"dsa": [{"queues": [{"mode": "shared", "threshold": 17}]}]}, "threshold 17 is above size 16"),
        ({"dsa": [{"queues": [{"threshold": 7}]}]}, "only a shared queue has one"),
        ({"dsa": [{"queues": [{"name": "a\nb"}]}]}, "pattern"),
        ({"dsa": [{"state": "halted", "queues": [{"enabled": True}]}]}, "a device that is halted has no enabled"),
        ({"dsa": [{"pasid_enabled": False}]}, "without pasid_enabled no queue of type user"),
        ({"iaa": [{"driver": "uio"}]}, "'idxd' or 'vfio-pci'"),
    ],
)
def test_what_cannot_be_is_refused(description: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Node.model_validate(description)
