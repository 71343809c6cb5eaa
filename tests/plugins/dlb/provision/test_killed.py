"""A run that is killed, or refused, at any of its writes."""

import errno
from pathlib import Path
from typing import Any

import pytest

from provisioned import PF, DlbNode, Interposed, KilledError, results
from xpu_simulator.families.dlb.device import Dlb

NEW: dict[str, Any] = {
    "num_vfs": 2,
    "resources": {"num_ldb_ports": 8, "num_sched_domains": 4, "num_hist_list_entries": 16},
}
OTHER_SHARES = {"num_vfs": 2, "resources": {"num_ldb_ports": 32, "num_sched_domains": 2}}


@pytest.mark.parametrize(
    ("before", "after_it"), [(None, True), (None, False), (OTHER_SHARES, True), ({"num_vfs": 1}, True)]
)
def test_killed_at_any_write_and_run_again_ends_as_an_undisturbed_run(
    tmp_path: Path, before: dict[str, Any] | None, *, after_it: bool
) -> None:
    node = DlbNode(tmp_path)
    if before is not None:
        node.apply(**before)
    begin = node.state()
    (outcome,) = node.apply(**NEW)
    undisturbed = node.state()
    for number in range(len(outcome.writes)):
        node.kernel.become(begin)
        with pytest.raises(KilledError):
            node.apply(**NEW, sysfs=Interposed(node.sysfs, killed_at=number, after_it=after_it))
        again = node.apply(**NEW)

        assert not any(outcome.wrong for outcome in again)
        assert node.state() == undisturbed, f"killed at write {number}"
        assert results(node.apply(**NEW)) == {PF: "unchanged"}


@pytest.mark.parametrize("resource", ["num_atomic_inflights", "num_ldb_ports", "num_sn1_slots"])
def test_a_refused_amount_costs_its_function_which_stays_unbound_as_it_was(tmp_path: Path, resource: str) -> None:
    node = DlbNode(tmp_path)
    kernel = Interposed(node.sysfs, refused={f"vf1_resources/{resource}": errno.EIO})
    (outcome,) = node.apply(num_vfs=3, resources="equal", sysfs=kernel)
    first, second, third = node.state().functions

    assert (outcome.result, outcome.wrong) == ("failed", True)
    assert f"VF 1 of {PF}: " in outcome.messages[0]
    assert f"vf1_resources/{resource}: " in outcome.messages[0]
    assert "EIO" in outcome.messages[0]
    assert second.number is None
    assert set(second.resources.values()) == {0}
    assert first.number is not None
    assert third.number is not None
    assert third.resources["num_ldb_ports"] == 21


def test_a_failed_count_ends_its_device_and_no_other(tmp_path: Path) -> None:
    node = DlbNode(tmp_path, Dlb(pci_address=PF), Dlb(number=1, pci_address="0000:8e:00.0"))
    kernel = Interposed(node.sysfs, refused={f"{PF}/sriov_numvfs": errno.EIO})

    assert results(node.apply(pf=("all",), sysfs=kernel)) == {PF: "failed", "0000:8e:00.0": "changed"}


def test_what_one_has_too_much_goes_back_before_another_takes(tmp_path: Path) -> None:
    node = DlbNode(tmp_path)
    node.apply(num_vfs=2, resources={"num_ldb_ports": 32, "num_sched_domains": 16})
    state = node.state()
    first, second = state.functions
    lopsided = state.with_function(
        type(first)(address=first.address, number=first.number, resources={**first.resources, "num_ldb_ports": 0})
    ).with_function(
        type(second)(address=second.address, number=None, resources={**second.resources, "num_ldb_ports": 60})
    )
    node.kernel.become(lopsided)

    assert results(node.apply(num_vfs=2, resources={"num_ldb_ports": 32, "num_sched_domains": 16})) == {PF: "changed"}
    assert [function.resources["num_ldb_ports"] for function in node.state().functions] == [32, 32]
