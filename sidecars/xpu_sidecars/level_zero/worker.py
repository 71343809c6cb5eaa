"""A thread for each device: one that hangs in the driver keeps only its own device from being sampled."""

import threading
from dataclasses import dataclass
from queue import SimpleQueue

from xpu_shared.telemetry.readings import DeviceReading
from xpu_sidecars.level_zero.device import SampledDevice

STRIKES = 2  # hangs after which a device is left alone


@dataclass(frozen=True, slots=True)
class Round:
    """A worker has done a round."""

    worker: "Worker"
    reading: DeviceReading


class Worker:
    """Samples one device, a round for each time it is told to. Used from one other thread.

    `finished` gets each round when it is done, however late. `hang_after` are the seconds after which it hangs.
    """

    def __init__(self, address: str, device: SampledDevice, finished: "SimpleQueue[Round]", hang_after: float) -> None:
        self.address = address
        self.device = device
        self.hanging = False
        self._hangs = 0
        self._hang_after = hang_after
        self._busy_since: float | None = None
        self._finished = finished
        self._rounds: SimpleQueue[float] = SimpleQueue()
        threading.Thread(target=self._run, name=address, daemon=True).start()

    @property
    def busy(self) -> bool:
        return self._busy_since is not None

    @property
    def left_alone(self) -> bool:
        return self._hangs >= STRIKES

    @property
    def ready(self) -> bool:
        """A round may begin."""
        return not self.busy and not self.left_alone

    def begin(self, now: float) -> None:
        """Have a round done; only when ready."""
        self._busy_since = now
        self._rounds.put(now)

    def done(self) -> None:
        """The round has come out of `finished`."""
        self._busy_since = None
        self.hanging = False

    def look(self, now: float) -> None:
        """Notice that it hangs."""
        if self._busy_since is not None and not self.hanging and now - self._busy_since >= self._hang_after:
            self.hanging = True
            self._hangs += 1

    def trouble(self) -> str:
        """What is to be said of it now; nothing is good."""
        if self.hanging:
            call = self.device.calls.current or "a call"
            rest = "; it is left alone until devices are enumerated again" if self.left_alone else ""
            return f"does not answer {call}{rest}"
        if self.left_alone:
            return f"has hung {self._hangs} times and is left alone until devices are enumerated again"
        return ""

    def _run(self) -> None:
        while True:
            now = self._rounds.get()
            self._finished.put(Round(self, self.device.round(now)))
