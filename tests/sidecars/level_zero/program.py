"""The sidecar as a process, and a subscriber of it, for tests."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import zmq

from level_zero import Scenario
from processes import children_of
from sidecars.level_zero.collecting import has_ended
from sidecars.running import RunningSidecar
from xpu_shared.telemetry.decoding import SnapshotReader
from xpu_shared.telemetry.envelope import DEVICES, decode, subscription
from xpu_shared.telemetry.readings import DeviceReading, DeviceSnapshot, Envelope

PROGRAM = Path(sys.executable).with_name("xpu-level-zero-sidecar")


class Program(RunningSidecar):
    def __init__(self, *arguments: str, node: str = "node-1") -> None:
        self.process = subprocess.Popen(
            [PROGRAM, *arguments], stderr=subprocess.PIPE, text=True, env={**os.environ, "NODE_NAME": node}
        )
        self.arguments = arguments

    def flag(self, name: str) -> str:
        """The value of a flag it was given."""
        return next(text for text in self.arguments if text.startswith(f"--{name}=")).partition("=")[2]

    def child(self) -> int:
        """The process id of its collector."""
        (child,) = children_of(self.process.pid)
        return child

    def end_by_itself(self) -> int:
        _, rest = self.process.communicate(timeout=10)
        self.log += rest
        return self.process.returncode

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
            return self.end_by_itself()
        return self.process.returncode


@contextmanager
def sidecar(*arguments: str) -> Generator[Program]:
    program = Program(*arguments)
    try:
        yield program
    finally:
        program.end(signal.SIGKILL)


@contextmanager
def directory() -> Generator[Path]:
    """A directory whose path is short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="lz-", dir="/tmp") as path:
        yield Path(path)


@contextmanager
def reading(library: Scenario | str, *arguments: str) -> Generator[tuple[Program, "Subscription"]]:
    """A sidecar that reads the library, and a subscription."""
    name = library if isinstance(library, str) else str(library.library)
    with directory() as path:
        endpoint = f"ipc://{path}/s/level-zero.sock"
        measuring = (f"--library={name}", f"--publish={endpoint}", "--sampling-interval=100ms", f"--sysfs-root={path}")
        flags = (*measuring, f"--kubelet-dir={path / 'kubelet'}", f"--features-dir={path}")
        metrics = () if any("metrics" in argument for argument in arguments) else ("--metrics-address=127.0.0.1:0",)
        with sidecar(*flags, *metrics, *arguments) as program, Subscription(endpoint) as subscribed:
            yield program, subscribed


class Subscription:
    def __init__(self, endpoint: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.subscribe(subscription(DEVICES))
        self._socket.connect(endpoint)
        self.envelopes: list[Envelope] = []

    def __enter__(self) -> "Subscription":
        return self

    def __exit__(self, *error: object) -> None:
        self._context.destroy(0)

    def until(self, holds: Callable[[DeviceSnapshot], object], *, within: float = 15.0) -> DeviceSnapshot:
        """The first snapshot that is as wished."""
        deadline = time.monotonic() + within
        while self._socket.poll(max(0, int((deadline - time.monotonic()) * 1000))):
            self.envelopes.append(decode(self._socket.recv(), SnapshotReader()))
            if holds(self.envelopes[-1].payload):
                return self.envelopes[-1].payload
        raise AssertionError(f"no such snapshot; the last of {len(self.envelopes)} is {self.envelopes[-1:]}")

    def device(self, address: str, holds: Callable[[DeviceReading], object] = lambda _: True) -> DeviceReading:
        def found(snapshot: DeviceSnapshot) -> list[DeviceReading]:
            return [device for device in snapshot.devices if device.pci_address == address and holds(device)]

        return found(self.until(found))[0]


__all__ = ["Program", "Subscription", "directory", "has_ended", "reading", "sidecar"]
