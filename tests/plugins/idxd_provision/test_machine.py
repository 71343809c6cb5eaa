"""The provisioner as a state machine, on a simulated kernel: layouts are applied, applied by runs that are killed or
refused at any write, devices are changed by hand, halt and are used, in any order.
"""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from layouts import layout, queue
from plugins.idxd_provision.test_killed import RefusingOnce, essence
from provisioned import IdxdNode, Interposed, KilledError
from xpu_simulator.families.idxd.device import Dsa
from xpu_simulator.families.idxd.state import IdxdState

DEVICES = ("dsa0", "dsa2")
QUEUES = st.dictionaries(
    st.integers(0, 7),
    st.fixed_dictionaries(
        {"size": st.integers(12, 32), "priority": st.integers(1, 15), "group_id": st.integers(0, 3)},
        optional={"block_on_fault": st.sampled_from((0, 1)), "max_batch_size": st.integers(1, 1024)},
    ),
    min_size=1,
    max_size=4,
)
IMPOSSIBLE = ({"size": 200}, {"group_id": 9}, {"priority": 16}, {"mode": "both"})


def _restored(state: IdxdState, before: IdxdState) -> IdxdState:
    """What has to be as before. A queue that a killed run left without a threshold keeps the new one: 0 is refused."""
    without = {one.number for one in before.queues if one.threshold == 0}
    queues = tuple(replace(one, threshold=0) if one.number in without else one for one in state.queues)
    return essence(replace(state, queues=queues))


class ProvisionerMachine(RuleBasedStateMachine):
    """The model: whether the devices are as the newest layout wants them, and whether somebody uses one."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="xpu-"))
        self.node = IdxdNode(self.root, Dsa(number=0), Dsa(number=2))
        self.wanted = layout(queue(0))
        self.used: set[str] = set()
        self.settled: set[str] = set()  # devices that are as wanted

    @rule(queues=QUEUES)
    def another_layout_is_wanted(self, queues: dict[int, dict[str, Any]]) -> None:
        self.wanted = layout(*(queue(number, **changes) for number, changes in queues.items()))
        self.settled.clear()

    @rule()
    def applied(self) -> None:
        """Devices in use stay as they are, others become what is wanted; then nothing is left to do."""
        before = self._states()
        for outcome in self.node.apply(self.wanted):
            assert not outcome.wrong, outcome.messages
            if outcome.result == "busy":
                assert outcome.device in self.used - self.settled
                assert self._states()[outcome.device] == before[outcome.device]
            else:
                assert outcome.result == "unchanged" or outcome.device not in self.settled
                self.settled.add(outcome.device)
        for outcome in self.node.apply(self.wanted):
            assert (outcome.result, outcome.writes) == (
                "busy" if outcome.device not in self.settled else "unchanged",
                (),
            )

    @rule(number=st.integers(0, 40), after_it=st.booleans())
    def applied_by_a_run_that_is_killed(self, number: int, after_it: bool) -> None:
        kernel = Interposed(self.node.sysfs, killed_at=number, after_it=after_it)
        try:
            self.node.apply(self.wanted, sysfs=kernel)
        except KilledError:
            self.settled.clear()
        else:
            self.applied()

    @rule(data=st.data())
    def applied_while_the_kernel_refuses_once(self, data: st.DataObject) -> None:
        """The device that it happens to is what it was, the other one what is wanted."""
        writes = [(plan.device, write) for plan in self.node.provisioner(self.wanted).plans() for write in plan.writes]
        if not writes:
            return
        device, write = data.draw(st.sampled_from(writes))
        before = self._states()
        outcomes = self.node.apply(self.wanted, sysfs=RefusingOnce(self.node.sysfs, write.path, write.value))
        (failed,) = [outcome for outcome in outcomes if outcome.device == device]
        assert (failed.result, failed.wrong) == ("failed", True)
        assert _restored(self._states()[device], before[device]) == essence(before[device]), failed.messages
        assert not any(outcome.wrong for outcome in outcomes if outcome is not failed)
        self.settled |= {outcome.device for outcome in outcomes if outcome.result in ("changed", "unchanged")}

    @rule(wrong=st.sampled_from(IMPOSSIBLE))
    def an_impossible_layout_changes_nothing(self, wrong: dict[str, Any]) -> None:
        before, kernel = self._states(), Interposed(self.node.sysfs)
        outcomes = self.node.apply(layout(queue(1, **wrong)), sysfs=kernel)
        assert {outcome.result for outcome in outcomes} == {"refused"}
        assert (kernel.writes, self._states()) == ([], before)

    @precondition(lambda self: any(self._files(name) for name in DEVICES))
    @rule(data=st.data(), clients=st.integers(0, 2))
    def somebody_opens_or_closes_a_queue(self, data: st.DataObject, clients: int) -> None:
        name = data.draw(st.sampled_from([name for name in DEVICES if self._files(name)]))
        queues = self.node.state(name).queues
        self.node.become(name, queues=tuple(replace(one, clients=clients if one.has_file else 0) for one in queues))
        self.used = self.used | {name} if clients else self.used - {name}

    @rule(name=st.sampled_from(DEVICES))
    def a_device_is_disabled_by_hand(self, name: str) -> None:
        queues = tuple(replace(one, enabled=False, clients=0) for one in self.node.state(name).queues)
        self.node.become(name, state="disabled", queues=queues)
        self.used.discard(name)
        self.settled.discard(name)

    @rule(name=st.sampled_from(DEVICES), priority=st.integers(1, 15))
    def a_queue_is_changed_by_hand(self, name: str, priority: int) -> None:
        first, *rest = self.node.state(name).queues or (None,)
        if first is not None and not first.enabled:
            self.node.become(name, queues=(replace(first, priority=priority), *rest))
            self.settled.discard(name)

    @invariant()
    def the_kernel_s_rules_hold(self) -> None:
        for state in self._states().values():
            assert sum(one.size for one in state.queues) <= state.max_work_queues_size
            assert state.state == "enabled" or not any(one.enabled for one in state.queues)

    def _states(self) -> dict[str, IdxdState]:
        return {name: self.node.state(name) for name in DEVICES}

    def _files(self, name: str) -> bool:
        return any(one.has_file for one in self.node.state(name).queues)

    def teardown(self) -> None:
        shutil.rmtree(self.root)


TestProvisioner = ProvisionerMachine.TestCase
TestProvisioner.settings = settings(
    max_examples=5, stateful_step_count=14, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
