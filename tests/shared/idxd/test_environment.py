from xpu_shared.device import DeviceNode
from xpu_shared.idxd.environment import environment
from xpu_shared.idxd.queues import Queue


def queue(name: str, *, label: str = "", pci_address: str | None = None, numa_nodes: tuple[int, ...] = ()) -> Queue:
    path = f"/dev/iax/{name}"
    node = DeviceNode(host_path=path, container_path=path)
    return Queue(
        name=name, device="iax3", type="user", mode="dedicated", slots=1, nodes=(node,), label=label,
        pci_address=pci_address, numa_nodes=numa_nodes,
    )  # fmt: skip


def test_each_queue_has_a_number_and_what_is_known_of_it() -> None:
    known = queue("wq3.0", label="fast", pci_address="0000:6a:02.0", numa_nodes=(0, 1))

    assert environment("IAA", [known, queue("wq3.1")]) == {
        "IAA_WQ0": "/dev/iax/wq3.0",
        "IAA_WQ0_NAME": "fast",
        "IAA_WQ0_BDF": "0000:6a:02.0",
        "IAA_WQ0_NUMA": "0,1",
        "IAA_WQ1": "/dev/iax/wq3.1",
    }


def test_a_queue_without_a_file_has_no_variables() -> None:
    kernel = Queue(name="wq3.0", device="iax3", type="kernel", mode="dedicated", slots=1)

    assert environment("IAA", [kernel]) == {}
