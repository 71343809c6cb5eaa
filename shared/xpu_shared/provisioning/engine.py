"""Performs plans: one device after the other, each write read back, and what failed put back as it was."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from xpu_shared.program.flags import shown
from xpu_shared.provisioning.plan import Check, DevicePlan, Result, Unit, Write, same
from xpu_shared.provisioning.sysfs import Sysfs, reason

LOOK_AGAIN = 0.01  # seconds between looks at something that takes its time


class Clock(Protocol):
    """Time as the module `time` has it."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a device."""

    device: str
    result: Result
    writes: tuple[Write, ...] = ()
    messages: tuple[str, ...] = ()
    wrong: bool = False  # whether the program ends with 1 because of it


class WriteFailedError(Exception):
    """A write that was refused, or after which something else was read."""

    def __init__(self, write: Write, problem: str, cause: OSError | None) -> None:
        super().__init__(f"{write.path}: {shown(write.value)}: {problem}")
        self.cause = cause


class BusyError(Exception):
    """The kernel refuses a write because somebody uses the device."""


def foreseen(plan: DevicePlan) -> Outcome:
    """A plan as it is shown, without performing it."""
    return Outcome(
        device=plan.device,
        result=plan.result,
        writes=plan.writes,
        messages=plan.messages,
        wrong=plan.result in (Result.REFUSED, Result.FAILED) or (plan.result is Result.BUSY and plan.busy_is_wrong),
    )


class Engine:
    def __init__(self, sysfs: Sysfs, clock: Clock = time) -> None:
        self._sysfs = sysfs
        self._clock = clock

    def apply(self, plan: DevicePlan, again: Callable[[], DevicePlan]) -> Outcome:
        """Perform a device's plan; whatever goes wrong is in the outcome.

        Args:
            again: makes the device's plan anew, for one whose later writes depend on what the earlier ones did.
        """
        if plan.result is not Result.CHANGE:
            return foreseen(plan)
        performed: list[Write] = []
        troubles: list[str] = []
        pending, looked_again, failed = list(plan.units), False, set[str]()
        while pending:
            unit = pending.pop(0)
            if unit.name in failed:
                continue
            try:
                failure = self._unit(unit, performed)
            except BusyError as error:
                return Outcome(
                    device=plan.device,
                    result=Result.BUSY,
                    writes=tuple(performed),
                    messages=(f"{plan.device}: {error}",),
                    wrong=plan.busy_is_wrong,
                )
            if failure:
                troubles += failure
                failed.add(unit.name)
                if unit.needed:
                    break
            elif unit.look_again and not looked_again:
                looked_again = True
                rest = again()
                if rest.result in (Result.REFUSED, Result.FAILED, Result.BUSY):
                    troubles += rest.messages
                pending = list(rest.units)
        return Outcome(
            device=plan.device,
            result=Result.FAILED if troubles else Result.CHANGED,
            writes=tuple(performed),
            messages=(*plan.messages, *troubles),
            wrong=bool(troubles),
        )

    def _unit(self, unit: Unit, performed: list[Write]) -> list[str]:
        """Perform it, or put back what it changed; returns what went wrong."""
        for write in unit.writes:
            performed.append(write)
            try:
                self._perform(write)
            except WriteFailedError as error:
                if error.cause is not None and error.cause.errno == write.busy_errno:
                    performed.pop()
                    raise BusyError(f"somebody uses it, says the kernel: {error}") from None
                known = unit.explain(self._sysfs, write, error.cause)
                text = ": ".join(filter(None, (unit.name, str(error), known)))
                return [text, *self._put_back(unit, performed)]
        return []

    def _put_back(self, unit: Unit, performed: list[Write]) -> list[str]:
        troubles = []
        name = f"{unit.name}: " if unit.name else ""
        try:
            for write in unit.undo(self._sysfs):
                performed.append(write)
                try:
                    self._perform(write)
                except WriteFailedError as error:
                    troubles.append(f"{name}on the way back: {error}")
        except OSError as error:
            troubles.append(f"{name}the way back ended: {reason(error)}: {error.filename or 'it has gone'}")
        return troubles

    def _perform(self, write: Write) -> None:
        try:
            self._sysfs.write(write.path, write.value)
        except OSError as error:
            raise WriteFailedError(write, reason(error), error) from None
        for check in write.checks:
            found = self._wait(check)
            if found is not None:
                expected = "to exist" if check.expected is None else shown(check.expected)
                raise WriteFailedError(write, f"then expected {check.path} {expected}, {found}", None)

    def _wait(self, check: Check) -> str | None:
        """None as soon as it holds, else what was found at last."""
        until = self._clock.monotonic() + check.within
        while True:
            found = self._look(check)
            if found is None or self._clock.monotonic() >= until:
                return found
            self._clock.sleep(LOOK_AGAIN)

    def _look(self, check: Check) -> str | None:
        if check.expected is None:
            return None if self._sysfs.exists(check.path) else "it does not"
        try:
            found = self._sysfs.read(check.path)
        except OSError as error:
            return reason(error)
        return None if same(found, check.expected) else f"found {shown(found)}"
