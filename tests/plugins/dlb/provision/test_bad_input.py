"""What provisioning refuses, keeps and says: the rows of the specification's bad input."""

import errno
import re
from concurrent import futures
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioned import PF, DlbNode, Interposed, results, text_of
from xpu_plugins.dlb.provision.function import RESOURCES, PhysicalFunction
from xpu_plugins.dlb.provision.program import PROGRAM
from xpu_plugins.dlb.provision.shares import NEEDED, Wish, parse_resources, shares
from xpu_shared.program.flags import UsageError
from xpu_shared.provisioning.plan import LayoutError, RefusedError
from xpu_simulator.families.dlb.device import Dlb
from xpu_simulator.families.dlb.kernel import VirtualState
from xpu_wire import podresources_v1_pb2 as pb
from xpu_wire.podresources_v1_pb2_grpc import PodResourcesListerServicer, add_PodResourcesListerServicer_to_server

OTHER = "0000:8e:00.0"


@pytest.fixture
def node(tmp_path: Path) -> DlbNode:
    return DlbNode(tmp_path)


def test_without_a_physical_function_nothing_happens_unless_one_is_required(tmp_path: Path) -> None:
    node = DlbNode(tmp_path, Dlb(vfs=None))

    assert node.apply() == []
    with pytest.raises(LayoutError, match=r"bus/pci/drivers/dlb2: no physical function: is the module loaded\?"):
        node.apply(require_pf=True)


@pytest.mark.parametrize(
    "flag", ["--num-vfs=0", "--num-vfs=-1", "--num-vfs=many", "--pf=x", "--resources=x", "--resources=a=1,a=1"]
)
def test_a_flag_that_cannot_be_is_a_usage_error(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert PROGRAM.main([flag]) == 2
    assert flag.partition("=")[0] in capsys.readouterr().err


@pytest.mark.parametrize("variable", ["DLB_NUM_VFS=0", "DLB_PFS=x", "DLB_VF_RESOURCES=half", "NODE_NAME=../x"])
def test_a_variable_that_cannot_be_is_named(node: DlbNode, variable: str) -> None:
    name, _, value = variable.partition("=")
    with pytest.raises(UsageError, match=name):
        node.provisioner(environment={name: value})


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"num_vfs": 17}, "num_vfs: expected 1 to 16 (sriov_totalvfs), found 17"),
        ({"num_vfs": 3}, "resources: reference is for 1 VF, found num_vfs 3"),
        ({"resources": {"num_ports": 1}}, "resources: expected num_atomic_inflights, "),
        ({"resources": {"num_ldb_ports": 65}}, "num_ldb_ports: 1 × 65 = 65 exceeds 64"),  # noqa: RUF001
    ],
)
def test_what_the_device_has_not_is_refused_before_any_write(node: DlbNode, choices: dict[str, Any], said: str) -> None:
    kernel = Interposed(node.sysfs)
    outcomes = node.apply(sysfs=kernel, **choices)

    assert results(outcomes) == {PF: "refused"}
    assert outcomes[0].wrong
    assert f"{PF}: {said}" in text_of(outcomes)
    assert kernel.writes == []


def test_an_equal_share_that_is_nothing_is_refused(tmp_path: Path) -> None:
    resources = dict(Dlb().resources) | {"num_hist_list_entries": 1}
    node = DlbNode(tmp_path, Dlb(pci_address=PF, resources=resources))

    assert "num_hist_list_entries: an equal share of 1 for 2 VFs is nothing" in text_of(
        node.apply(num_vfs=2, resources="equal")
    )


def test_a_resource_that_the_device_has_none_of_is_no_hindrance(tmp_path: Path) -> None:
    node = DlbNode(tmp_path, Dlb(pci_address=PF, generation="2.5"))

    assert results(node.apply(num_vfs=2, resources="equal")) == {PF: "changed"}
    assert results(node.apply(num_vfs=2, resources="equal")) == {PF: "unchanged"}


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("0000:01:00.0", "there is no such function"),
        ("0000:7e:00.1", "it is a virtual function"),
        ("0000:9e:00.0", "it is bound to vfio-pci, not to dlb2"),
        ("0000:ae:00.0", "it has no SR-IOV"),
    ],
)
def test_an_address_that_is_no_physical_function_is_named_and_others_go_on(
    tmp_path: Path, address: str, said: str
) -> None:
    node = DlbNode(
        tmp_path,
        Dlb(pci_address=PF),
        Dlb(number=1, pci_address=OTHER),
        Dlb(number=2, pci_address="0000:9e:00.0", driver="vfio-pci"),
        Dlb(number=3, pci_address="0000:ae:00.0", vfs=None),
    )
    node.apply(pf=(PF,))
    outcomes = node.apply(pf=(address, OTHER))

    assert results(outcomes) == {address: "refused", OTHER: "changed"}
    assert f"{address}: {said}" in text_of(outcomes)


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [(None, [0]), (("first",), [0]), (("all",), [0, 1, 2]), (("none",), []), (("alternate",), [0, 2])],
)
def test_words_choose_functions_in_the_order_of_their_addresses(
    tmp_path: Path, choice: tuple[str, ...] | None, chosen: list[int]
) -> None:
    addresses = ["0000:0a:00.0", "0000:7e:00.0", "0001:01:00.0"]
    node = DlbNode(tmp_path, *(Dlb(number=number, pci_address=one) for number, one in enumerate(addresses)))

    assert list(results(node.apply(pf=choice))) == [addresses[number] for number in chosen]


def test_flags_win_over_variables_and_those_over_the_file(tmp_path: Path) -> None:
    node = DlbNode(tmp_path)
    file = tmp_path / "dlb.yaml"
    file.write_text("default: {num_vfs: 2, resources: equal}\n")

    node.apply(config=file)
    assert len(node.state().functions) == 2
    environment = {"DLB_NUM_VFS": "3", "DLB_VF_RESOURCES": "equal"}
    node.apply(config=file, environment=environment)
    assert len(node.state().functions) == 3
    node.apply(config=file, environment=environment, num_vfs=4)
    assert len(node.state().functions) == 4


def test_a_functions_own_entry_and_the_nodes_own_file_win(tmp_path: Path) -> None:
    node = DlbNode(tmp_path, Dlb(pci_address=PF), Dlb(number=1, pci_address=OTHER))
    (tmp_path / "dlb.yaml").write_text(f"default: {{num_vfs: 2, resources: equal}}\n'{OTHER}': {{num_vfs: 1}}\n")
    (tmp_path / "dlb-n1.yaml").write_text(f"'{OTHER}': {{num_vfs: 3, resources: {{num_sched_domains: 4}}}}\n")

    node.apply(config=tmp_path / "dlb.yaml")
    assert [len(node.state(address).functions) for address in (PF, OTHER)] == [2, 1]
    assert results(node.apply(config=tmp_path / "dlb.yaml", environment={"NODE_NAME": "n1"})) == {OTHER: "changed"}
    assert len(node.state(OTHER).functions) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a map of PCI addresses"),
        ("[1]", "expected a map of PCI addresses"),
        ("dlb0: {}", "dlb0: expected a PCI address"),
        ("default: 3", "default: expected a map of num_vfs, resources, on_busy, found 3"),
        ("default: {vfs: 3}", "default.vfs: expected num_vfs, resources, on_busy, found 'vfs'"),
        ("default: {num_vfs: 0}", "default.num_vfs: expected a number from 1, found 0"),
        ("default: {num_vfs: two}", "default.num_vfs: expected a number from 1, found 'two'"),
        ("default: {on_busy: force}", "default.on_busy: expected keep or fail, found 'force'"),
        ("default: {resources: half}", "default.resources: expected reference, equal or a map"),
        ("default: {resources: {num_ldb_ports: -1}}", "num_ldb_ports: expected 0 to 1000000000, found -1"),
        ("default: {resources: {num_ldb_ports: 1, num_ldb_ports: 2}}", "given twice"),
        ("default: {num_vfs: 1}\n---\n{}", "single document"),
        ("default: &a {num_vfs: 1}\nx: *a", "aliases"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_nothing_is_written(node: DlbNode, text: str, said: str) -> None:
    file = node.root / "dlb.yaml"
    file.write_text(text)
    kernel = Interposed(node.sysfs)
    with pytest.raises(LayoutError, match=rf"^{file}:.*{re.escape(said)}"):
        node.apply(config=file, sysfs=kernel)
    assert kernel.writes == []


def busy(node: DlbNode) -> None:
    """Two virtual functions with shares, of which the second is open."""
    node.apply(num_vfs=2, resources="equal")
    functions = node.state().functions
    node.kernel.become(replace(node.state(), functions=(functions[0], replace(functions[1], in_use=True))))


@pytest.mark.parametrize("on_busy", [None, "keep", "fail"])
def test_what_the_kernel_says_is_in_use_is_kept(node: DlbNode, on_busy: str | None) -> None:
    busy(node)
    (outcome,) = node.apply(num_vfs=3, resources="equal", on_busy=on_busy)

    assert (outcome.result, outcome.wrong, outcome.writes) == ("busy", on_busy == "fail", ())
    assert "somebody uses it, says the kernel" in outcome.messages[0]
    assert len(node.state().functions) == 2


def test_a_function_that_is_open_is_kept_also_when_only_shares_differ(node: DlbNode) -> None:
    node.apply(num_vfs=2, resources="equal")
    with (node.tree.dev / "dlb2").open():
        (outcome,) = node.apply(num_vfs=2, resources={"num_sched_domains": 4})

    assert (outcome.result, outcome.writes) == ("busy", ())
    assert "VF 1 is open as" in outcome.messages[0]
    assert "pending change: other shares" in outcome.messages[0]


class Lister(PodResourcesListerServicer):
    def List(self, request: object, context: object) -> pb.ListPodResourcesResponse:
        devices = pb.ContainerDevices(resource_name="dlb.intel.com/vf", device_ids=["/dev/dlb1"])
        container = pb.ContainerResources(name="c", devices=[devices])
        return pb.ListPodResourcesResponse(pod_resources=[pb.PodResources(name="p", containers=[container])])

    def GetAllocatableResources(self, request: object, context: object) -> pb.AllocatableResourcesResponse:
        raise NotImplementedError

    def Get(self, request: object, context: object) -> pb.GetPodResourcesResponse:
        raise NotImplementedError


def test_a_function_that_a_pod_holds_is_kept(node: DlbNode) -> None:
    node.apply(num_vfs=2, resources="equal")
    server = grpc.server(futures.ThreadPoolExecutor(1))
    add_PodResourcesListerServicer_to_server(Lister(), server)
    (node.root / "kubelet/pod-resources").mkdir(parents=True)
    server.add_insecure_port(f"unix:{node.root}/kubelet/pod-resources/kubelet.sock")
    server.start()
    try:
        (outcome,) = node.apply(num_vfs=1)
    finally:
        server.stop(None).wait()

    assert (outcome.result, outcome.messages[0]) == ("busy", f"{PF}: VF 0 is held by a pod; pending change: VFs 2 → 1")


def test_another_count_goes_by_way_of_none(node: DlbNode) -> None:
    node.apply(num_vfs=2, resources="equal")
    (outcome,) = node.apply(num_vfs=3, resources="equal")

    assert [write.value for write in outcome.writes if write.path.endswith("sriov_numvfs")] == ["0", "3"]
    assert len(node.state().functions) == 3


def test_a_function_that_stays_locked_is_told_with_its_driver(node: DlbNode) -> None:
    kernel = Interposed(node.sysfs, refused={"num_ldb_ports": errno.EPERM})
    node.kernel.become(replace(node.state(), functions=(VirtualState(
        address="0000:7e:00.1", number=5, resources=dict.fromkeys(RESOURCES, 0)),)))  # fmt: skip
    outcomes = node.apply(sysfs=Sticky(kernel))

    assert f"VF 0 of {PF} is locked: still bound to dlb2" in text_of(outcomes)


class Sticky(Interposed):
    """The driver lets go and takes it again at once."""

    def write(self, path: str, text: str) -> None:
        super().write(path, text)
        if path.endswith("num_ldb_credits"):
            self.kernel.write("bus/pci/drivers/dlb2/bind", "0000:7e:00.1")


def test_functions_that_never_appear_are_told_and_the_count_is_left(node: DlbNode) -> None:
    class Hidden(Interposed):
        def exists(self, path: str) -> bool:
            return "virtfn1" not in path and super().exists(path)

    (outcome,) = node.apply(num_vfs=2, resources="equal", sysfs=Hidden(node.sysfs))

    assert (outcome.result, outcome.wrong) == ("failed", True)
    assert f"{PF}/virtfn1 to exist, it does not" in outcome.messages[0]
    assert len(node.state().functions) == 2


def test_without_autoprobe_the_driver_is_named(node: DlbNode) -> None:
    node.kernel.become(replace(node.state(), autoprobe=False))

    assert results(node.apply(num_vfs=2, resources="equal")) == {PF: "changed"}
    assert all(function.number is not None for function in node.state().functions)


AMOUNTS = st.dictionaries(st.sampled_from(RESOURCES), st.integers(0, 3000))


@given(AMOUNTS, st.integers(1, 20), st.one_of(st.sampled_from(["reference", "equal"]), AMOUNTS))
def test_shares_never_exceed_what_there_is(totals: dict[str, int], vfs: int, resources: Any) -> None:
    function = PhysicalFunction(
        address=PF, most_vfs=16, vfs=0, totals=totals, available=totals, functions=(), autoprobe=True, following=None
    )
    try:
        amounts = shares(function, Wish(vfs=vfs, resources=resources))
    except RefusedError:
        return
    assert all(0 <= vfs * amount <= totals[name] for name, amount in amounts.items())
    if resources == "equal":
        for names in NEEDED.values():
            assert sum(amounts.get(name, 0) for name in names) or not sum(totals.get(name, 0) for name in names)


@given(st.text(alphabet="num_ldbports=,0123456789 -equalrefc", max_size=40))
def test_whatever_resources_a_text_says_they_are_amounts_or_an_error(text: str) -> None:
    try:
        found = parse_resources(text)
    except ValueError:
        return
    assert found in ("reference", "equal") or all(amount >= 0 for amount in dict(found).values())  # type: ignore[arg-type]


def test_only_refused_amounts_are_explained_with_amounts(node: DlbNode) -> None:
    outcomes = node.apply(sysfs=Interposed(node.sysfs, refused={"dlb2/unbind": errno.EINVAL}))

    assert results(outcomes) == {PF: "failed"}
    assert "dlb2/unbind: '0000:7e:00.1': EINVAL" in text_of(outcomes)
    assert "not so much left" not in text_of(outcomes)


def test_a_function_that_goes_with_a_refused_write_costs_only_itself(tmp_path: Path) -> None:
    node = DlbNode(tmp_path, Dlb(pci_address=PF), Dlb(number=1, pci_address=OTHER))
    outcomes = node.apply(pf=("all",), sysfs=Going(node.sysfs))

    assert results(outcomes) == {PF: "failed", OTHER: "changed"}
    assert "num_dir_ports: '8': EPERM" in text_of(outcomes)


class Going(Interposed):
    """The first physical function goes while one of its amounts is written."""

    gone = False

    def read(self, path: str) -> str:
        if self.gone and PF in path:
            raise OSError(errno.ENODEV, "No such device", path)
        return super().read(path)

    def write(self, path: str, text: str) -> None:
        if path.endswith("num_dir_ports") and PF in path:
            self.gone = True
            raise OSError(errno.EPERM, "Operation not permitted", path)
        super().write(path, text)
