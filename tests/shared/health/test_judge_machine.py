"""The judge as a state machine: looks of every kind, silence and old measurements, in any order, at any time."""

from dataclasses import dataclass, field

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from xpu_shared.device import Health
from xpu_shared.health import Evidence, Finding, Judgement, judge

NAMES = ("hot", "lost")
SECONDS = (0.0, 0.5, 3.0, 10.0, 29.0, 61.0)


@dataclass
class Known:
    """What a careful person would write down of one condition."""

    holds: str = ""  # what was seen when it began to hold
    bad_in_a_row: int = 0
    clear: list[float] = field(default_factory=list)  # when each of an unbroken row of clear measurements was made
    not_clear: float = 0.0  # when it was last seen not to be


class JudgeMachine(RuleBasedStateMachine):
    @initialize(dwell=st.sampled_from((0.0, 5.0, 30.0)), patience=st.sampled_from((1.0, 20.0, 60.0)))
    def begin(self, dwell: float, patience: float) -> None:
        self.dwell, self.patience, self.now = dwell, patience, 0.0
        self.judgement = Judgement()
        self.known = {name: Known() for name in NAMES}
        self.looks = 0

    @rule(seconds=st.sampled_from(SECONDS))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(
        evidence=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(Evidence)),
        age=st.sampled_from(SECONDS),
        needed=st.integers(1, 3),
    )
    def look(self, evidence: dict[str, Evidence], age: float, needed: int) -> None:
        """A look that may say nothing of a condition."""
        self.looks += 1
        before, conditions = self.judgement, dict(self.judgement.conditions)
        text = f"look {self.looks}"
        findings = {name: Finding(evidence=found, text=text, looks=needed, age=age) for name, found in evidence.items()}
        self.judgement = judge(before, findings, dwell=self.dwell, patience=self.patience, now=self.now)
        assert before.conditions == conditions
        for name, found in evidence.items():
            self._write_down(self.known[name], found, age, needed, text)

    def _write_down(self, known: Known, found: Evidence, age: float, needed: int, text: str) -> None:
        if found is Evidence.CLEAR:
            measured = max(self.now - age, known.not_clear, *known.clear)
            if known.clear and measured - known.clear[-1] > self.patience:
                known.clear.clear()
            known.clear.append(measured)
            known.bad_in_a_row = 0
            if known.clear[-1] - known.clear[0] >= self.dwell:
                known.holds = ""
            return
        known.clear.clear()
        known.not_clear = self.now
        known.bad_in_a_row = known.bad_in_a_row + 1 if found is Evidence.BAD else 0
        if known.bad_in_a_row >= needed and not known.holds:
            known.holds = text

    @invariant()
    def what_holds_is_what_was_written_down(self) -> None:
        expected = {name: known.holds for name, known in sorted(self.known.items()) if known.holds}
        assert self.judgement.reasons == expected
        assert self.judgement.health is (Health.UNHEALTHY if expected else Health.HEALTHY)

    @invariant()
    def nothing_is_remembered_of_what_is_well(self) -> None:
        well = {name for name, known in self.known.items() if not known.holds and not known.bad_in_a_row}
        assert not well & self.judgement.conditions.keys()


TestJudge = JudgeMachine.TestCase
