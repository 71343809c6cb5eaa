"""A run that is killed, or refused, at any of its writes."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from layouts import layout, queue
from provisioned import IdxdNode, Interposed, KilledError, results
from xpu_simulator.families.idxd.device import Dsa
from xpu_simulator.families.idxd.state import IdxdState, WorkQueue

BEFORE = layout(queue(0, size=64, name="oldX"), queue(5, size=32, mode="dedicated", threshold=None))
AFTER = layout(queue(1, size=100), queue(2, mode="dedicated", threshold=None), group={"read_buffers_allowed": 8})


def device(root: Path, *, enabled: bool) -> IdxdNode:
    """One that is configured differently than wished, at work or not."""
    node = IdxdNode(root)
    node.apply(BEFORE)
    if not enabled:
        disabled = tuple(replace(one, enabled=False) for one in node.state().queues)
        node.become(state="disabled", queues=disabled)
    return node


def essence(state: IdxdState) -> IdxdState:
    """Without what the kernel cannot restore, and what is the same whether it is said or not."""
    kept = tuple(replace(one, op_config="") for one in state.queues if one.group >= 0 or one.size)
    engines = {number: group for number, group in state.engines.items() if group >= 0}
    return replace(state, queues=kept, engines=engines, groups={}, command_status=0)


def unused(state: IdxdState) -> list[WorkQueue]:
    """The queues without size in no group, without what the kernel cannot restore."""
    lost = {"type": "none", "driver_name": "", "name": "", "threshold": 0, "op_config": ""}
    return [replace(one, **lost) for one in state.all_queues if one.group < 0 and not one.size]  # type: ignore[arg-type]


@pytest.mark.parametrize(("enabled", "after_it"), [(True, True), (True, False), (False, True)])
def test_killed_at_any_write_and_run_again_ends_as_an_undisturbed_run(
    tmp_path: Path, *, enabled: bool, after_it: bool
) -> None:
    node = device(tmp_path, enabled=enabled)
    before = node.state()
    (outcome,) = node.apply(AFTER)
    undisturbed = node.state()
    for number in range(len(outcome.writes)):
        node.kernel.become(before)
        with pytest.raises(KilledError):
            node.apply(AFTER, sysfs=Interposed(node.sysfs, killed_at=number, after_it=after_it))
        again = node.apply(AFTER)

        assert not any(outcome.wrong for outcome in again)
        assert essence(node.state()) == essence(undisturbed), f"killed at write {number}"
        assert results(node.apply(AFTER)) == {"dsa11": "unchanged"}


@pytest.mark.parametrize("enabled", [True, False])
def test_refused_at_any_write_the_device_is_what_it_was(tmp_path: Path, *, enabled: bool) -> None:
    node = device(tmp_path, enabled=enabled)
    before = node.state()
    (plan,) = node.provisioner(AFTER).plans()
    for write in plan.writes:
        node.kernel.become(before)
        kernel = RefusingOnce(node.sysfs, write.path, write.value)
        (outcome,) = node.apply(AFTER, sysfs=kernel)

        assert (outcome.result, outcome.wrong) == ("failed", True)
        assert "EIO" in outcome.messages[0]
        assert write.path in outcome.messages[0]
        assert kernel.refusals == 1
        assert essence(node.state()) == essence(before), f"refused at {write.path}: {outcome.messages}"
        assert unused(node.state()) == unused(before), f"refused at {write.path}: {outcome.messages}"


class RefusingOnce(Interposed):
    """The kernel refuses one write, once."""

    def __init__(self, kernel: object, path: str, value: str) -> None:
        super().__init__(kernel)  # type: ignore[arg-type]
        self.refusals = 0
        self._refused = (path, value)

    def write(self, path: str, text: str) -> None:
        if (path, text) == self._refused and not self.refusals:
            self.refusals += 1
            raise OSError(errno.EIO, "Input/output error", path)
        super().write(path, text)


def test_other_devices_go_on_when_one_fails(tmp_path: Path) -> None:
    node = IdxdNode(tmp_path, Dsa(number=0), Dsa(number=2), Dsa(number=4))
    kernel = Interposed(node.sysfs, refused={"wq2.1/priority": errno.EINVAL})
    outcomes = node.apply(layout(queue(1)), sysfs=kernel)

    assert results(outcomes) == {"dsa0": "changed", "dsa2": "failed", "dsa4": "changed"}


def test_a_device_that_vanishes_meanwhile_costs_itself(tmp_path: Path) -> None:
    node = IdxdNode(tmp_path, Dsa(number=0), Dsa(number=2))
    kernel = Vanishing(node)
    outcomes = node.apply(layout(queue(1)), sysfs=kernel)

    assert results(outcomes) == {"dsa0": "changed", "dsa2": "failed"}
    assert "it has gone" in outcomes[1].messages[0]


class Vanishing(Interposed):
    """dsa2 goes while dsa0 is configured."""

    def __init__(self, node: IdxdNode) -> None:
        super().__init__(node.sysfs)
        self._node = node

    def write(self, path: str, text: str) -> None:
        if not self.writes:
            self._node.sysfs.write("bus/pci/drivers/idxd/unbind", Dsa(number=2).pci_address)
        super().write(path, text)
