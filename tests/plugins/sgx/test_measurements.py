"""SGX on the metrics page."""

from handmade_sgx import HandmadeSgx
from xpu_plugins.sgx.measurements import measure
from xpu_shared.plugin import Measures
from xpu_simulator.families.sgx.device import Sgx
from xpu_simulator.tree import SimulatedTree


def epc(sgx: HandmadeSgx) -> dict[tuple[str, ...], float]:
    (gauge,) = measure(sgx.sysfs)
    return dict(gauge.samples)


def test_enclave_memory_is_told_by_numa_node(sgx: HandmadeSgx) -> None:
    tree = SimulatedTree(sgx.root / "simulated", device_nodes=False)
    tree.add(Sgx(epc_bytes=[2134900736, 12884901888]))
    (gauge,) = measure(tree.sysfs)

    assert dict(gauge.samples) == {("0",): 2134900736, ("1",): 12884901888}
    assert isinstance(sgx.plugin(), Measures)


def test_what_cannot_be_read_has_no_sample(sgx: HandmadeSgx) -> None:
    for node, text in (("node0", "much"), ("node1", "4096"), ("nodeX", "1"), ("node2", "")):
        directory = sgx.sysfs / "devices/system/node" / node / "x86"
        directory.mkdir(parents=True)
        (directory / "sgx_total_bytes").write_text(text)
    (sgx.sysfs / "devices/system/node/node3").mkdir()

    assert epc(sgx) == {("1",): 4096}


def test_an_older_kernel_tells_nothing(sgx: HandmadeSgx) -> None:
    assert epc(sgx) == {}
