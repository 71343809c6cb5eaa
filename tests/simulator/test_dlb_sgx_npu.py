"""DLB, SGX and NPUs of a simulated node: what a description may say, what plugins find, what the kernel tells."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from scans import device, ids, rejection, told
from xpu_plugins.dlb.plugin import DlbPlugin
from xpu_plugins.dlb.settings import DlbSettings
from xpu_plugins.npu.plugin import NpuPlugin
from xpu_plugins.npu.settings import NpuSettings
from xpu_plugins.sgx.plugin import SgxPlugin
from xpu_plugins.sgx.settings import SgxSettings
from xpu_shared.device import Health, ScanResult
from xpu_simulator.device import SimulatedDevice, uevents
from xpu_simulator.families.dlb.device import Dlb
from xpu_simulator.families.npu.device import Npu
from xpu_simulator.families.sgx.device import Sgx
from xpu_simulator.node import Node
from xpu_simulator.tree import SimulatedTree


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.skipif(os.geteuid() != 0, reason="needs root"))])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> SimulatedTree:
    return SimulatedTree(tmp_path, device_nodes=request.param)


def dlb(tree: SimulatedTree) -> ScanResult:
    return DlbPlugin(DlbSettings(sysfs_root=tree.sysfs, dev_root=tree.dev)).scan()


def sgx(tree: SimulatedTree) -> ScanResult:
    settings = SgxSettings(
        sysfs_root=tree.sysfs, dev_root=tree.dev, enclave_limit=1, provision_limit=1, dcap_infra_resources=True
    )
    return SgxPlugin(settings, pods_per_core="", cpus=1).scan()


def npu(tree: SimulatedTree) -> ScanResult:
    return NpuPlugin(NpuSettings(sysfs_root=tree.sysfs, dev_root=tree.dev)).scan()


def names(tree: SimulatedTree) -> set[str]:
    """Everything in the trees but the directories that families share."""
    return {str(path.relative_to(tree.root)) for path in tree.root.rglob("*") if path.is_symlink() or not path.is_dir()}


def told_of(simulated: SimulatedDevice, action: str) -> list[tuple[str, str, str]]:
    """Action, subsystem and last part of the path of each event."""
    return [(event.action, event.subsystem, event.devpath.rpartition("/")[2]) for event in uevents(simulated, action)]


class TestDlb:
    def test_without_more_words_it_is_a_physical_function(self, tree: SimulatedTree) -> None:
        tree.add(Dlb(numa_node=1))
        result = dlb(tree)

        assert ids(result) == {"pf": ["/dev/dlb0"]}
        assert device(result, "/dev/dlb0").numa_nodes == (1,)
        assert not result.problems

    def test_virtual_functions_own_equal_shares(self, tree: SimulatedTree) -> None:
        tree.add(Dlb(vfs=3))
        result = dlb(tree)

        assert ids(result) == {"vf": ["/dev/dlb1", "/dev/dlb2", "/dev/dlb3"]}
        assert {device.health for device in result.devices["vf"]} == {Health.HEALTHY}
        assert rejection(result, "dlb0").expected
        physical = (tree.sysfs / "class/dlb2/dlb0/device").resolve()
        share = {path.name: path.read_text().strip() for path in (physical / "vf2_resources").iterdir()}
        assert share == {
            "num_sched_domains": "10",
            "num_ldb_queues": "10",
            "num_ldb_ports": "21",
            "num_dir_ports": "21",
            "num_ldb_credits": "2730",
            "num_dir_credits": "1365",
            "num_hist_list_entries": "682",
            "num_atomic_inflights": "682",
            "num_sn0_slots": "5",
            "num_sn1_slots": "5",
            "locked": "1",
            "func_bar_en": "1",
        }
        left = physical / "avail_resources"
        assert [(left / name).read_text() for name in ("num_sched_domains", "num_dir_credits")] == ["2\n", "1\n"]

    def test_or_nothing(self, tree: SimulatedTree) -> None:
        tree.add(Dlb(vfs=1, assigned=False))

        assert device(dlb(tree), "/dev/dlb1").reason == "no resources assigned"

    def test_a_virtual_machine_has_a_virtual_function_alone_or_a_physical_one_without_sriov(
        self, tree: SimulatedTree
    ) -> None:
        tree.add(Dlb(virtual=True, generation="2.5"))
        tree.add(Dlb(number=1, vfs=None))
        result = dlb(tree)

        assert ids(result) == {"vf": ["/dev/dlb0", "/dev/dlb1"]}
        assert [subject for subject, _ in told(result)] == ["dlb1"]

    def test_one_that_comes_and_goes_leaves_nothing(self, tree: SimulatedTree) -> None:
        before = names(tree)
        for simulated in (Dlb(vfs=2), Dlb(number=3, driver="vfio-pci")):
            tree.add(simulated)
        assert ids(dlb(tree)) == {"vf": ["/dev/dlb1", "/dev/dlb2"]}
        for simulated in (Dlb(vfs=2), Dlb(number=3, driver="vfio-pci")):
            tree.remove(simulated)

        assert names(tree) == before

    def test_with_another_driver_it_has_no_file(self, tree: SimulatedTree) -> None:
        tree.add(Dlb())
        rebound = tree.rebind(Dlb(), "vfio-pci")
        assert dlb(tree).devices == {}

        tree.rebind(rebound, "dlb2")
        assert ids(dlb(tree)) == {"pf": ["/dev/dlb0"]}

    def test_the_kernels_events(self) -> None:
        assert told_of(Dlb(vfs=1), "add") == [
            ("add", "pci", "0000:6d:00.0"),
            ("add", "dlb2", "dlb0"),
            ("bind", "pci", "0000:6d:00.0"),
            ("add", "pci", "0000:6d:00.1"),
            ("add", "dlb2", "dlb1"),
            ("bind", "pci", "0000:6d:00.1"),
        ]
        assert told_of(Dlb(driver="vfio-pci"), "unbind") == [("unbind", "pci", "0000:6d:00.0")]

    def test_devices_are_numbered_behind_virtual_functions(self) -> None:
        node = Node.model_validate({"dlb": [{"vfs": 2}, {}, {"generation": "2.5"}]})

        assert [(device.name, device.number) for device in node.dlb] == [("dlb0", 0), ("dlb3", 3), ("dlb4", 4)]

    @pytest.mark.parametrize(
        ("description", "message"),
        [
            ({"vfs": 17}, "less than or equal to 16"),
            ({"virtual": True, "vfs": 1}, "a virtual function has no virtual functions"),
            ({"resources": {"num_ports": 1}}, "num_ports is none of num_sched_domains"),
            ({"number": 250, "vfs": 16}, "numbers end at 255"),
            ({"driver": "idxd"}, "'dlb2' or 'vfio-pci'"),
            ({"pci_address": "0000:ff:1f.7", "vfs": 1}, "no room for 1 virtual functions"),
        ],
    )
    def test_what_cannot_be_is_refused(self, description: dict[str, object], message: str) -> None:
        with pytest.raises(ValidationError, match=message):
            Node.model_validate({"dlb": [description]})

    def test_two_cannot_have_one_number(self) -> None:
        with pytest.raises(ValidationError, match=r"DLB number 1 is that of virtual function 1 of dlb.0 and of dlb.1"):
            Node.model_validate({"dlb": [{"vfs": 1}, {"number": 1}]})


class TestSgx:
    def test_a_node_has_it_once(self, tree: SimulatedTree) -> None:
        tree.add(Sgx())
        result = sgx(tree)

        assert sorted(result.devices) == ["enclave", "provision", "qe", "registration"]
        assert not result.problems
        assert Node.model_validate({"sgx": {}}).device("sgx") == Sgx()
        assert Node.model_validate({"sgx": None}).devices == []

    def test_without_provisioning_or_efi(self, tree: SimulatedTree) -> None:
        tree.add(Sgx(provision=False, efi=False))
        assert rejection(sgx(tree), f"{tree.dev}/sgx_provision").text == "it does not exist"
        tree.remove(Sgx(provision=False, efi=False))

        tree.add(Sgx(efi=False))
        assert "registration" not in sgx(tree).devices

    def test_one_that_comes_and_goes_leaves_nothing(self, tree: SimulatedTree) -> None:
        before = names(tree)
        tree.add(Sgx(epc_bytes=[4096]))
        assert (tree.sysfs / "class/misc/sgx_enclave/dev").read_text() == "10:125\n"
        tree.remove(Sgx(epc_bytes=[4096]))

        assert names(tree) == before
        assert sgx(tree).devices == {}

    def test_the_kernels_events(self) -> None:
        assert told_of(Sgx(), "add") == [("add", "misc", "sgx_enclave"), ("add", "misc", "sgx_provision")]
        assert told_of(Sgx(enclave=False), "remove") == [("remove", "misc", "sgx_provision")]

    def test_it_cannot_be_rebound(self) -> None:
        assert Sgx().drivers == ()
        with pytest.raises(ValueError, match="cannot be rebound"):
            Sgx().rebound("vfio-pci")

    @pytest.mark.parametrize("description", [{"enclaves": 3}, [], "yes", {"efi": 1}])
    def test_what_cannot_be_is_refused(self, description: object) -> None:
        with pytest.raises(ValidationError):
            Node.model_validate({"sgx": description})


class TestNpu:
    @pytest.mark.parametrize("model", ["meteor-lake", "arrow-lake", "lunar-lake", "panther-lake", "nova-lake"])
    def test_the_models_are_npus_to_the_plugin(self, tree: SimulatedTree, model: str) -> None:
        tree.add(Npu.model_validate({"model": model, "numa_node": 0}))
        result = npu(tree)

        assert ids(result) == {"accel": ["accel0-0"]}
        assert device(result, "accel0-0").numa_nodes == (0,)
        assert not result.problems

    def test_other_accelerators(self, tree: SimulatedTree) -> None:
        for simulated in (
            Npu(number=1, vendor=0x17CB, pci_id=0xA100, driver="qaic"),
            Npu(number=2, pci_id=0xFFFF),
            Npu(number=10, driver="vfio-pci"),
        ):
            tree.add(simulated)
        result = npu(tree)

        assert ids(result) == {"accel": ["accel2-0"]}
        assert [subject for subject, _ in told(result)] == ["accel2"]
        assert rejection(result, "accel1").expected

    def test_one_that_comes_and_goes_leaves_nothing(self, tree: SimulatedTree) -> None:
        before = names(tree)
        tree.add(Npu())
        rebound = tree.rebind(Npu(), "vfio-pci")
        assert npu(tree).devices == {}
        tree.remove(rebound)

        assert names(tree) == before
        assert not (tree.dev / "accel").exists()

    def test_the_kernels_events(self) -> None:
        assert told_of(Npu(), "add") == [
            ("add", "pci", "0000:00:0b.0"),
            ("add", "accel", "accel0"),
            ("bind", "pci", "0000:00:0b.0"),
        ]

    def test_what_it_may_be_rebound_to(self) -> None:
        expected: Sequence[str] = ("qaic", "intel_vpu", "vfio-pci")
        assert (Npu(driver="qaic").drivers, Npu().drivers) == (expected, expected[1:])

    @pytest.mark.parametrize(
        ("description", "message"),
        [({"model": "flex-170"}, "meteor-lake"), ({"number": 128}, "127"), ({"card": 1}, "Extra inputs")],
    )
    def test_what_cannot_be_is_refused(self, description: dict[str, object], message: str) -> None:
        with pytest.raises(ValidationError, match=message):
            Node.model_validate({"npus": [description]})
