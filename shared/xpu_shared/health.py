"""The judge of a device's health: named conditions that evidence takes in and, after a dwell time, takes away again.

A pure state machine: the last judgement, what one look found, and the time give the next judgement. What a look finds
is its plugin's business. Evidence that is missing changes nothing: what was last known stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from xpu_shared.device import Health

UNKNOWN = "unknown"  # the condition of a device that nothing tells of


class Evidence(Enum):
    """What one look says of one condition."""

    BAD = auto()
    BETWEEN = auto()  # not bad, but not far enough from it to count as clear
    CLEAR = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    evidence: Evidence
    text: str = ""  # what was seen, with value and limit, for people
    looks: int = 1  # so many bad looks in a row make the condition hold
    age: float = 0.0  # seconds since it was measured: a dwell is made of measurements, not of repetitions of one


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition of one device, as long as there is something to remember of it. Times are monotonic seconds."""

    holds: bool = False
    text: str = ""  # of the look that made it hold
    bad_looks: int = 0  # in a row, the last one included
    trouble: float = 0.0  # when a look was last not clear
    clear_since: float | None = None  # the first of an unbroken row of clear looks
    clear_until: float = 0.0  # the last of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is known of one device. A new one is healthy."""

    conditions: Mapping[str, Condition] = field(default_factory=dict)  # by name

    @property
    def reasons(self) -> dict[str, str]:
        """The names of the conditions that hold, in order, each with what was seen."""
        return {name: condition.text for name, condition in sorted(self.conditions.items()) if condition.holds}

    @property
    def health(self) -> Health:
        return Health.UNHEALTHY if self.reasons else Health.HEALTHY


def judge(last: Judgement, findings: Mapping[str, Finding], *, dwell: float, patience: float, now: float) -> Judgement:
    """The judgement after one look.

    Args:
        findings: by condition; of a condition that is absent the look says nothing.
        dwell: seconds that a condition that holds must be clear before it is dropped.
        patience: seconds between two clear measurements beyond which the dwell starts anew: nobody looked in between.
        now: monotonic seconds.
    """
    conditions = dict(last.conditions)
    for name, finding in findings.items():
        if finding.evidence is Evidence.CLEAR and name not in conditions:
            continue  # most looks at most devices
        condition = _after(conditions.pop(name, Condition()), finding, patience=patience, now=now)
        if _remembered(condition, dwell):
            conditions[name] = condition
    return Judgement(conditions=conditions)


def _after(condition: Condition, finding: Finding, *, patience: float, now: float) -> Condition:
    if finding.evidence is Evidence.BAD:
        looks = condition.bad_looks + 1
        begins = not condition.holds and looks >= finding.looks
        text = finding.text if begins else condition.text
        return Condition(holds=condition.holds or begins, text=text, bad_looks=looks, trouble=now)
    if finding.evidence is Evidence.BETWEEN:
        return Condition(holds=condition.holds, text=condition.text, trouble=now)
    measured = max(now - finding.age, condition.trouble, condition.clear_until)
    unbroken = condition.clear_since is not None and measured - condition.clear_until <= patience
    since = condition.clear_since if unbroken else measured
    return replace(condition, bad_looks=0, clear_since=since, clear_until=measured)


def _remembered(condition: Condition, dwell: float) -> bool:
    if condition.holds and condition.clear_since is not None:
        return condition.clear_until - condition.clear_since < dwell
    return condition.holds or condition.bad_looks > 0
