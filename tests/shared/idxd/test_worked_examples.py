"""A node as they are: queues of all kinds, and what containers are given of them."""

import pytest

from handmade_idxd import HandmadeIdxd, paths
from scans import ids, told
from xpu_shared.allocation import compose
from xpu_shared.device import Allocation
from xpu_shared.idxd.accelerator import IAA

SHARED = "wq-user-shared"


@pytest.fixture
def full(node: HandmadeIdxd) -> HandmadeIdxd:
    dsa2 = node.device("dsa2")
    node.queue(dsa2, "wq2.0", minor=4)
    node.queue(dsa2, "wq2.1", minor=5, attributes={"mode": "shared"})
    node.queue(dsa2, "wq2.2", attributes={"mode": "shared", "state": "disabled"}, file=False, link=False)
    dsa12 = node.device("dsa12", bdf="0000:e7:01.0")
    node.queue(dsa12, "wq12.7", attributes={"type": "kernel"}, file=False, link=False)
    node.queue(node.device("iax3", bdf="0000:6a:02.0"), "wq3.0", minor=9)
    return node


def test_what_is_offered_of_dsa(full: HandmadeIdxd) -> None:
    result = full.scan(shared_dev_num=3)

    assert ids(result) == {
        "wq-user-dedicated": ["wq-user-dedicated-wq2.0-0"],
        "wq-user-shared": ["wq-user-shared-wq2.1-0", "wq-user-shared-wq2.1-1", "wq-user-shared-wq2.1-2"],
        "wq-kernel-dedicated": ["wq-kernel-dedicated-wq12.7-0"],
    }
    assert paths(result.devices["wq-user-dedicated"][0]) == ["/dev/dsa/wq2.0", "/dev/char/511:4"]
    assert [paths(device) for device in result.devices[SHARED]] == [["/dev/dsa/wq2.1", "/dev/char/511:5"]] * 3
    assert [device.numa_nodes for device in result.devices[SHARED]] == [(1,)] * 3
    (kernel,) = result.devices["wq-kernel-dedicated"]
    assert (kernel.nodes, kernel.numa_nodes) == ((), ())
    assert not told(result)


def test_what_is_offered_of_iaa(full: HandmadeIdxd) -> None:
    result = full.scan(IAA, shared_dev_num=3)

    assert ids(result) == {"wq-user-dedicated": ["wq-user-dedicated-wq3.0-0"]}
    assert paths(result.devices["wq-user-dedicated"][0]) == ["/dev/iax/wq3.0", "/dev/char/511:9"]


def test_without_a_link_the_queue_is_offered_with_one_file_and_a_warning(full: HandmadeIdxd) -> None:
    (full.dev / "char/511:5").unlink()

    result = full.scan(shared_dev_num=3)

    assert sum(map(len, result.devices.values())) == 5
    assert [paths(device) for device in result.devices[SHARED]] == [["/dev/dsa/wq2.1"]] * 3
    ((subject, text),) = told(result)
    assert subject == f"{full.dev}/char/511:5"
    assert text == "wq2.1 is handed out without it: there is no such link; is udev running?"


def test_what_a_container_is_given(full: HandmadeIdxd) -> None:
    """Two slots of one queue are its files once."""
    devices = {device.id: device for device in full.scan(shared_dev_num=3).devices[SHARED]}
    asked = ["wq-user-shared-wq2.1-2", "wq-user-shared-wq2.1-0"]

    allocation = compose(f"dsa.intel.com/{SHARED}", [devices[id_] for id_ in asked])

    assert [(node.host_path, node.container_path, node.permissions) for node in allocation.nodes] == [
        ("/dev/dsa/wq2.1", "/dev/dsa/wq2.1", "rw"),
        ("/dev/char/511:5", "/dev/char/511:5", "rw"),
    ]
    assert (allocation.envs, allocation.mounts, allocation.annotations, allocation.cdi_names) == ({}, (), {}, ())


def test_a_container_may_be_told_its_queues(full: HandmadeIdxd) -> None:
    plugin = full.plugin(shared_dev_num=3, inject_env=True)
    plugin.scan()

    allocation = plugin.prepare(SHARED, ["wq-user-shared-wq2.1-2", "wq-user-shared-wq2.1-0"], Allocation())

    assert allocation.envs == {
        "DSA_WQ0": "/dev/dsa/wq2.1",
        "DSA_WQ0_NAME": "app",
        "DSA_WQ0_BDF": "0000:6a:01.0",
        "DSA_WQ0_NUMA": "1",
    }
