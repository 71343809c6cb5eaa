"""A provisioner as a program: plan, apply and status, once or for as long as it watches."""

import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from xpu_shared.program import logs
from xpu_shared.program.flags import HelpRequested, UsageError
from xpu_shared.program.logs import Log
from xpu_shared.program.settings import Loaded, load
from xpu_shared.program.signals import end_on_signals
from xpu_shared.provisioning.engine import Clock, Engine, Outcome, foreseen
from xpu_shared.provisioning.lock import LockError, locked
from xpu_shared.provisioning.output import as_json, as_table, write
from xpu_shared.provisioning.plan import DevicePlan, LayoutError, Result
from xpu_shared.provisioning.settings import ProvisioningSettings
from xpu_shared.provisioning.sysfs import NodeSysfs, Sysfs, reason

WORDS = {
    "plan": "print the writes that apply would make, and make none",
    "apply": "make them (the default)",
    "status": "end with 1 unless every device is as wished",
    "provision": "the same as apply",
}

SHOWN_AT_ONCE = 8  # writes of a device that are spoken of

S = TypeVar("S", bound=ProvisioningSettings)
log = Log("provisioning")


class Provisioner(Protocol):
    """What a family knows: which devices there are, and what has to be written to make each as it is wished."""

    def plans(self) -> Sequence[DevicePlan]:
        """Every device's plan, in the order in which they are applied, all of it validated.

        Raises:
            LayoutError: what is wished cannot be used at all.
            OSError: nothing can be seen.
        """

    def plan(self, device: str) -> DevicePlan:
        """A device's plan made anew."""

    def settle(self, changed: Collection[str], clock: Clock) -> Sequence[str]:
        """Wait for what comes by itself after a change of these devices; what there is to say of it."""


def nothing_instead(_: object, __: str, ___: Sysfs) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class ProvisioningProgram(Generic[S]):
    name: str  # xpu-idxd-provision
    description: str
    settings_type: type[S]
    provisioner: Callable[[S, Sysfs], Provisioner]  # UsageError for what only the environment can have got wrong
    subsystems: frozenset[str]  # whose events are a reason to apply again
    # What makes the text that is printed instead of doing anything, where settings and command ask for it; UsageError.
    instead: Callable[[S, str, Sysfs], Callable[[], str] | None] = nothing_instead

    def main(self, arguments: Sequence[str] | None = None, *, sysfs: Sysfs | None = None, clock: Clock = time) -> int:
        """Do what the command line says; returns the exit code.

        Args:
            arguments: without the program's name; by default those of this process.
            sysfs: instead of the one below `--sysfs-root`.
        """
        try:
            loaded = self._load(sys.argv[1:] if arguments is None else arguments)
            return self._run(loaded, sysfs or NodeSysfs(loaded.settings.sysfs_root), clock)
        except HelpRequested as help_text:
            print(help_text)
            return 0
        except UsageError as error:
            print(f"{self.name}: {error}", file=sys.stderr)
            return error.exit_code

    def _run(self, loaded: Loaded[S], sysfs: Sysfs, clock: Clock) -> int:
        settings, word = loaded.settings, loaded.words[0] if loaded.words else "apply"
        provisioner = self.provisioner(settings, sysfs)
        logs.configure(settings.log_format, settings.v)
        job = Job(
            settings=settings,
            provisioner=provisioner,
            engine=Engine(sysfs, clock),
            lock=settings.lock(self.name.removeprefix("xpu-")),
            clock=clock,
        )
        if (printed := self.instead(settings, word, sysfs)) is not None:
            return job.print(printed)
        if word == "status":
            return job.show(status=True)
        if word == "plan" or settings.plan:
            return job.show(status=False)
        if settings.watch:
            end_on_signals()
            from xpu_shared.provisioning.watch import watch  # noqa: PLC0415 - with asyncio, which one run does not need

            return watch(job.apply, settings, self.subsystems, program=self.name)
        return job.apply()

    def _load(self, arguments: Sequence[str]) -> Loaded[S]:
        loaded = load(
            self.settings_type,
            arguments,
            program=self.name,
            description=self.description,
            words=WORDS,
            settings_file=False,
        )
        if len(loaded.words) > 1:
            raise UsageError(f"commands {' and '.join(loaded.words)}: expected one")
        if loaded.settings.watch and (loaded.settings.plan or set(loaded.words) & {"plan", "status"}):
            raise UsageError("--watch is only for apply")
        if loaded.settings.plan and "status" in loaded.words:
            raise UsageError("--plan is not for status")
        return loaded


@dataclass(kw_only=True)
class Job:
    """What is wished, planned or applied, and told; once, or again and again and then told when it is new."""

    settings: ProvisioningSettings
    provisioner: Provisioner
    engine: Engine
    lock: Path
    clock: Clock
    _told: object = None  # by the last run

    def print(self, text: Callable[[], str]) -> int:
        """Print a text; returns the exit code."""
        try:
            write(text())
        except (LayoutError, OSError) as error:
            log.error(cannot(error))
            return 1
        return 0

    def show(self, *, status: bool) -> int:
        """Print the plans; returns the exit code."""
        try:
            outcomes = [foreseen(plan) for plan in self.provisioner.plans()]
        except (LayoutError, OSError) as error:
            return self._unusable(error)
        self._tell(outcomes, ())
        if status:
            return int(any(outcome.result is not Result.UNCHANGED for outcome in outcomes))
        return int(any(outcome.result is Result.REFUSED for outcome in outcomes))

    def apply(self) -> int:
        """Make the writes; returns the exit code."""
        outcomes: list[Outcome] = []
        try:
            with locked(self.lock, instead=self.settings.lock_directory, clock=self.clock):
                outcomes.extend(self._outcomes())
                changed = [outcome.device for outcome in outcomes if outcome.result is Result.CHANGED]
                afterwards = self.provisioner.settle(changed, self.clock)
        except (LayoutError, LockError, OSError) as error:
            return self._unusable(error, outcomes)
        self._tell(outcomes, afterwards)
        return int(any(outcome.wrong for outcome in outcomes))

    def _outcomes(self) -> Iterator[Outcome]:
        """Device by device; then those that have appeared because of what was done to others."""
        done: set[str] = set()
        plans = self.provisioner.plans()
        while plans:
            for plan in plans:
                done.add(plan.device)
                yield self._applied(plan)
            if all(plan.result is not Result.CHANGE for plan in plans):
                return
            later = self.provisioner.plans()
            plans = [plan for plan in later if plan.device not in done and plan.result is not Result.UNCHANGED]

    def _applied(self, plan: DevicePlan) -> Outcome:
        if plan.result is not Result.CHANGE:
            return foreseen(plan)
        # Others were at work meanwhile, and somebody may have begun to use it.
        outcome = self.engine.apply(self.provisioner.plan(plan.device), lambda: self.provisioner.plan(plan.device))
        if outcome.result is Result.CHANGED:
            left = self.provisioner.plan(plan.device)
            if left.result is Result.CHANGE:
                return _not_as_wished(outcome, left)
        return outcome

    def _unusable(self, error: Exception, outcomes: Sequence[Outcome] = ()) -> int:
        """No more can be planned; `outcomes` are of what was done before."""
        text = cannot(error)
        if text != self._told:
            self._told = text
            log.error(text)
            self._print(outcomes)
        return 1

    def _tell(self, outcomes: Sequence[Outcome], afterwards: Sequence[str]) -> None:
        summary = [(outcome.device, outcome.result, outcome.messages) for outcome in outcomes]
        if (summary, afterwards) == self._told:
            return
        self._told = (summary, afterwards)
        for outcome in outcomes:
            tell(outcome)
        for text in afterwards:
            log.warning(text)
        self._print(outcomes)

    def _print(self, outcomes: Sequence[Outcome]) -> None:
        show = as_json if self.settings.output == "json" else as_table
        if outcomes or self.settings.output == "json":
            write(show(outcomes, self.settings.sysfs_root))


def cannot(error: Exception) -> str:
    """Why nothing can be planned, in one line."""
    return f"{error.filename or 'sysfs'}: {reason(error)}" if isinstance(error, OSError) else str(error)


def _not_as_wished(outcome: Outcome, left: DevicePlan) -> Outcome:
    """Every write was read back, and all the same something else is there in the end."""
    writes = ", ".join(f"{write.path} {write.before or 'nothing'}" for write in left.writes[:SHOWN_AT_ONCE])
    text = f"all is written, but {len(left.writes)} writes more are needed to have it as wished: {writes}"
    return replace(outcome, result=Result.FAILED, wrong=True, messages=(*outcome.messages, text))


def tell(outcome: Outcome) -> None:
    """One line for each thing that there is to say of a device."""
    for text in outcome.messages:
        if outcome.result is Result.REFUSED:
            log.error(text)
        elif outcome.result is Result.BUSY:
            (log.error if outcome.wrong else log.warning)(text)
        elif outcome.wrong:
            log.error(f"{outcome.device}: {text}")
        else:
            log.info(f"{outcome.device}: {text}")
    if outcome.result is Result.CHANGED:
        log.info(f"{outcome.device}: changed", writes=len(outcome.writes))
    elif outcome.result is Result.UNCHANGED:
        log.info(f"{outcome.device}: unchanged")
