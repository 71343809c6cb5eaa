"""Round after round over all devices, each in its own thread, and a report whenever some of them are done."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from queue import Empty, SimpleQueue

from xpu_shared.telemetry.kinds import Group, Mode
from xpu_shared.telemetry.readings import DeviceReading, DeviceSnapshot, SourceProblem
from xpu_sidecars.level_zero.calls import LONGEST_PAUSE
from xpu_sidecars.level_zero.command import Caution
from xpu_sidecars.level_zero.device import SampledDevice
from xpu_sidecars.level_zero.identity import Identity, UnidentifiedError, identify, merged
from xpu_sidecars.level_zero.library import Library
from xpu_sidecars.level_zero.opening import Found, UnavailableError
from xpu_sidecars.level_zero.reports import Count, Report, unidentified
from xpu_sidecars.level_zero.worker import Round, Worker

HEARTBEAT = 3.0  # seconds after which something is told, however long the interval
SETTLE = 0.02  # seconds in which rounds that began together are waited for, to be told in one report
IDENTIFY = 2.0  # seconds until sampling begins without the devices that do not yet say who they are


class Rounds:
    """Used from one thread. `tell` takes at least one report an interval, also when nothing was sampled."""

    def __init__(
        self,
        library: Library,
        mode: Mode,
        found: Found,
        interval: float,
        *,
        hang_after: float,
        groups: Sequence[Group] = (),
        caution: Caution,
        tell: Callable[[Report], None],
    ) -> None:
        self._library = library
        self._mode = mode
        self._problems = found.problems
        self._interval = interval
        self._hang_after = hang_after
        self._groups = groups
        self._caution = caution
        self._tell_parent = tell
        self._finished: SimpleQueue[Round] = SimpleQueue()
        self._identified: SimpleQueue[tuple[int, Identity | str]] = SimpleQueue()
        self._silent = set(range(len(found.devices)))  # places of those that have not said who they are
        self._workers: dict[str, Worker] = {}
        self._left_out: list[str] = []  # addresses of devices that are there and never sampled
        self._turn: list[Worker] = []  # those whose round of this interval has not begun
        self._versions: set[str] = set()
        self._handles = found.devices
        self._excuses: dict[int, str] = {}  # of the silent ones that answered, by place
        self._unasked = [place for place in self._silent if unidentified(place) in caution.without]
        self._silent.difference_update(self._unasked)

    def run(self) -> None:
        """Sample for ever; UnavailableError when there is no GPU to sample."""
        self._take(self._first_identities())
        if not (self._workers or self._silent or self._left_out or self._unasked):
            texts = "".join(f"; {problem.subject}: {problem.text}" for problem in self._problems)
            raise UnavailableError(f"no GPU: none of the devices can be used{texts}")
        due = time.monotonic()
        while True:
            self._take(self._identities(0.0))
            for worker in self._workers.values():
                worker.look(due)
            self._turn = [worker for worker in self._workers.values() if worker.ready]
            self._begin(due)
            due = max(due + self._interval, time.monotonic())  # after a stop of the process no rounds are made up for
            while (now := time.monotonic()) < due - HEARTBEAT:
                self._collect(now + HEARTBEAT)
                for worker in self._workers.values():
                    worker.look(time.monotonic())
            self._collect(due)

    def _collect(self, until: float) -> None:
        """Tell what is sampled, when all are done that do not hang, or soon after the first ones."""
        readings: list[DeviceReading] = []
        told = False
        tell_at = until
        while True:
            now = time.monotonic()
            if readings and (now >= tell_at or not (self._turn or self._at_work())):
                self._tell(readings)
                readings, told, tell_at = [], True, until
            if now >= until:
                break
            try:
                done = self._finished.get(timeout=max(0.0, tell_at - now))
            except Empty:
                continue
            done.worker.done()
            tell_at = min(until, tell_at if readings else time.monotonic() + SETTLE)
            readings.append(done.reading)
            self._begin(now)
        if not told:
            self._tell([])

    def _begin(self, now: float) -> None:
        """Begin the rounds that may begin now."""
        one_by_one = self._caution.one_by_one
        while self._turn and not (one_by_one and self._at_work()):
            worker = self._turn.pop(0)
            if one_by_one:
                self._tell_parent(Report(snapshot=DeviceSnapshot(), sampling=worker.address))
            worker.begin(now)

    def _at_work(self) -> bool:
        return any(worker.busy and not worker.hanging for worker in self._workers.values())

    def _tell(self, readings: Sequence[DeviceReading]) -> None:
        workers = self._workers.values()
        self._tell_parent(
            Report(
                snapshot=DeviceSnapshot(
                    mode=self._mode,
                    driver_versions=tuple(sorted(self._versions)),
                    devices=tuple(readings),
                    problems=(*self._problems, *self._troubles()),
                ),
                pci_addresses=(*self._workers, *self._left_out),
                hanging=tuple(worker.address for worker in workers if worker.hanging),
                left_alone=(
                    *(worker.address for worker in workers if worker.left_alone),
                    *self._left_out,
                    *map(unidentified, self._unasked),
                ),
                counts=dict(self._counts()),
            )
        )

    def _troubles(self) -> Iterator[SourceProblem]:
        for place in sorted(self._silent):
            yield SourceProblem(subject=unidentified(place), text=self._excuses.get(place, "does not say who it is"))
        for name in (*self._left_out, *map(unidentified, self._unasked)):
            yield SourceProblem(
                subject=name, text="crashes its driver; it is left alone until devices are enumerated again"
            )
        for worker in self._workers.values():
            if trouble := worker.trouble():
                yield SourceProblem(subject=worker.address, text=trouble)
            for denied in sorted(worker.device.calls.denied.copy()):
                yield SourceProblem(subject=worker.address, text=denied)

    def _counts(self) -> Iterator[tuple[tuple[str, Group], Count]]:
        for worker in self._workers.values():
            for group, tally in worker.device.tallies.items():
                if tally.failed_calls or tally.dropped_samples:
                    count = Count(failed_calls=tally.failed_calls, dropped_samples=tally.dropped_samples)
                    yield (worker.address, group), count

    def _first_identities(self) -> Iterator[Identity]:
        """Ask all who they are, and wait for a while; where a culprit is looked for, one after the other."""
        groups = [[place] for place in sorted(self._silent)] if self._caution.one_by_one else [sorted(self._silent)]
        for places in groups:
            if self._caution.one_by_one:
                self._tell_parent(Report(snapshot=DeviceSnapshot(), sampling=unidentified(places[0])))
            for place in places:
                threading.Thread(target=self._identify, args=(place,), daemon=True).start()
            yield from self._identities(time.monotonic() + IDENTIFY, places)

    def _identify(self, place: int) -> None:
        """In a thread of its own: who is this? One that sleeps or is in trouble is asked again, later and later."""
        pause = self._interval
        while True:
            try:
                self._identified.put((place, identify(self._library, self._handles[place])))
                return
            except UnidentifiedError as error:
                if not error.passing:
                    self._identified.put((place, str(error)))
                    return
                self._excuses[place] = str(error)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _identities(self, deadline: float, places: Collection[int] | None = None) -> Iterator[Identity]:
        """Those that have been told by now, or until the deadline if some of these, by default of all, have not."""
        while self._silent if places is None else self._silent.intersection(places):
            try:
                place, found = self._identified.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                return
            self._silent.discard(place)
            if isinstance(found, str):
                self._problems.append(SourceProblem(subject=unidentified(place), text=found))
            elif found.is_gpu:
                yield found

    def _take(self, identities: Iterator[Identity]) -> None:
        """Make a worker of each new address; one that came late to an address that is sampled already is left out."""
        for address, handles in merged(identities).items():
            if address in self._caution.without:
                self._left_out += [address] if address not in self._left_out else []
            elif address not in self._workers:
                self._versions.update(identity.driver_version for identity in handles if identity.driver_version)
                device = SampledDevice(self._library, handles, self._interval, self._groups)
                self._workers[address] = Worker(address, device, self._finished, self._hang_after)
