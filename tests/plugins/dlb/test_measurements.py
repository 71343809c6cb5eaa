"""Load balancers on the metrics page."""

from handmade_dlb import HandmadeDlb
from xpu_plugins.dlb.measurements import measure
from xpu_simulator.families.dlb.device import Dlb
from xpu_simulator.tree import SimulatedTree


def samples(dlb: HandmadeDlb) -> dict[str, dict[tuple[str, ...], float]]:
    return {gauge.name: dict(gauge.samples) for gauge in measure(dlb.sysfs)}


def test_a_physical_function_and_its_virtual_one(dlb: HandmadeDlb) -> None:
    SimulatedTree(dlb.root, device_nodes=False).add(Dlb(vfs=2, numa_node=1))
    found = samples(dlb)

    assert found["dlb_device_info"] == {
        ("dlb0", "0000:6d:00.0", "pf", "1", "8.5.2"): 1,
        ("dlb1", "0000:6d:00.1", "vf", "1", "8.5.2"): 1,
        ("dlb2", "0000:6d:00.2", "vf", "1", "8.5.2"): 1,
    }
    assert found["dlb_resource_total"]["dlb0", "0000:6d:00.0", "num_ldb_ports"] == 64
    assert found["dlb_resource_total"]["dlb2", "0000:6d:00.2", "num_ldb_ports"] == 32
    assert found["dlb_resource_available"]["dlb0", "0000:6d:00.0", "num_ldb_ports"] == 0
    assert found["dlb_vf_locked"] == {("dlb0", "0000:6d:00.0", "0"): 1, ("dlb0", "0000:6d:00.0", "1"): 1}


def test_what_cannot_be_read_has_no_sample(dlb: HandmadeDlb) -> None:
    resources = {"total_resources/num_sched_domains": "many", "total_resources/num_ldb_ports": "4"}
    directory = dlb.function(3, "0000:7e:00.1", attributes=resources)
    (directory / "total_resources/x\ny").write_text("4\n")
    (dlb.sysfs / "class/dlb2/dlb9").symlink_to("gone")
    found = samples(dlb)

    assert found["dlb_device_info"].keys() == {
        ("dlb3", "0000:7e:00.1", "vf", "1", ""),
        ("dlb9", "", "vf", "", ""),
    }
    assert found["dlb_resource_total"] == {("dlb3", "0000:7e:00.1", "num_ldb_ports"): 4}
    assert found["dlb_resource_available"] == {}


def test_without_the_driver_there_is_nothing(dlb: HandmadeDlb) -> None:
    (dlb.sysfs / "class/dlb2").rmdir()

    assert not any(samples(dlb).values())
