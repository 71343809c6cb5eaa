"""Provisioning's worked examples, D to F of the specification."""

from dataclasses import replace
from pathlib import Path

from provisioned import PF, DlbNode, results, short
from xpu_plugins.dlb.provision.function import RESOURCES
from xpu_simulator.families.dlb.kernel import VirtualState

EQUAL_SHARE = {
    "num_sched_domains": 10,
    "num_ldb_queues": 10,
    "num_ldb_ports": 21,
    "num_dir_ports": 21,
    "num_ldb_credits": 2730,
    "num_dir_credits": 1365,
    "num_hist_list_entries": 682,
    "num_atomic_inflights": 682,
    "num_sn0_slots": 5,
    "num_sn1_slots": 5,
}
LEFT = {
    "num_sched_domains": 2,
    "num_ldb_queues": 2,
    "num_ldb_ports": 1,
    "num_dir_ports": 1,
    "num_ldb_credits": 2,
    "num_dir_credits": 1,
    "num_hist_list_entries": 2,
    "num_atomic_inflights": 2,
    "num_sn0_slots": 1,
    "num_sn1_slots": 1,
}


def test_example_d_three_functions_with_equal_shares(tmp_path: Path) -> None:
    node = DlbNode(tmp_path)
    (outcome,) = node.apply(num_vfs=3, resources="equal")

    expected = [(f"{PF}/sriov_numvfs", "3")]
    for number in range(3):
        address = f"0000:7e:00.{number + 1}"
        expected += [("drivers/dlb2/unbind", address)]
        expected += [(f"{PF}/vf{number}_resources/{name}", str(EQUAL_SHARE[name])) for name in RESOURCES]
        expected += [("drivers/dlb2/bind", address)]
    assert outcome.result == "changed"
    assert short(outcome) == expected
    assert node.state().available == LEFT
    assert all(dict(function.resources) == EQUAL_SHARE for function in node.state().functions)
    assert len(list((node.tree.sysfs / "class/dlb2").iterdir())) == 4


def test_example_d_is_planned_before_the_functions_exist(tmp_path: Path) -> None:
    node = DlbNode(tmp_path)
    (plan,) = node.provisioner(num_vfs=3, resources="equal").plans()
    (outcome,) = node.apply(num_vfs=3, resources="equal")

    assert [(write.path, write.value) for write in plan.writes] == [
        (write.path, write.value) for write in outcome.writes
    ]


def test_example_d_again_is_unchanged(tmp_path: Path) -> None:
    node = DlbNode(tmp_path)
    node.apply(num_vfs=3, resources="equal")
    (outcome,) = node.apply(num_vfs=3, resources="equal")

    assert (outcome.result, outcome.writes) == ("unchanged", ())


def test_example_e_what_a_crash_has_left_is_completed(tmp_path: Path) -> None:
    node = DlbNode(tmp_path)
    function = VirtualState(address="0000:7e:00.1", resources=dict.fromkeys(RESOURCES, 0))
    node.kernel.become(replace(node.state(), functions=(function,)))
    (outcome,) = node.apply()

    assert outcome.result == "changed"
    assert (f"{PF}/sriov_numvfs", "1") not in short(outcome)
    assert short(outcome)[-1] == ("drivers/dlb2/bind", "0000:7e:00.1")
    assert node.state().functions[0].resources["num_sched_domains"] == 32
    assert results(node.apply()) == {PF: "unchanged"}


def test_example_f_more_than_there_is_is_refused_before_any_write(tmp_path: Path) -> None:
    node = DlbNode(tmp_path)
    (outcome,) = node.apply(num_vfs=2, resources={"num_ldb_ports": 40, "num_sched_domains": 2})

    assert (outcome.result, outcome.wrong, outcome.writes) == ("refused", True, ())
    assert outcome.messages == (f"{PF}: num_ldb_ports: 2 × 40 = 80 exceeds 64",)  # noqa: RUF001
    assert node.state().functions == ()


def test_without_a_word_one_function_owns_what_the_references_init_container_gives_it(tmp_path: Path) -> None:
    node = DlbNode(tmp_path)
    (outcome,) = node.apply()

    assert [value for path, value in short(outcome) if "vf0_resources" in path] == [
        "2048", "2048", "8", "2048", "8192", "4", "32", "32", "2", "2",
    ]  # fmt: skip
