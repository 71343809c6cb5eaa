"""The sidecar as a process, and a subscriber of it, for tests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import zmq

from sidecars.level_zero.program import directory
from sidecars.running import RunningSidecar
from xpu_shared.telemetry.envelope import TOPOLOGY, decode, subscription
from xpu_shared.telemetry.topology import TopologySnapshot
from xpu_shared.telemetry.topology_messages import TopologyReader

PROGRAM = Path(sys.executable).with_name("xpu-xelink-sidecar")
PATIENCE = 15.0  # seconds


class Program(RunningSidecar):
    """Running, with a subscription; `root` has its socket and its label file."""

    def __init__(self, root: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.labels = root / "features.d/xpum-sidecar-labels.txt"
        self.labels.parent.mkdir(exist_ok=True)
        endpoint = f"ipc://{root}/s/xelink.sock"
        defaults = {
            "publish": endpoint,
            "features-dir": str(self.labels.parent),
            "tmp-dir-prefix": str(self.labels.parent),
            "sysfs-root": f"{root}/sys",
            "metrics-address": "127.0.0.1:0",
            "interval": "1",
            "startup-delay": "0",
        }
        flags = [f"--{name}={value}" for name, value in defaults.items() if f"--{name}" not in "".join(arguments)]
        self.process = subprocess.Popen(
            [PROGRAM, *flags, *arguments],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "NODE_NAME": "node-1", **(environment or {})},
        )
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 20)
        self._socket.subscribe(subscription(TOPOLOGY))
        self._socket.connect(endpoint)

    def until(self, holds: Callable[[TopologySnapshot], object], *, within: float = PATIENCE) -> TopologySnapshot:
        """The first snapshot from now on that is as wished."""
        deadline, last = time.monotonic() + within, None
        while self._socket.poll(max(0, int((deadline - time.monotonic()) * 1000))):
            last = decode(self._socket.recv(), TopologyReader()).payload
            if holds(last):
                return last
        raise AssertionError(f"no such snapshot; the last is {last}; {self.log}")

    def wait_for_labels(self, *lines: str) -> None:
        """Until the file says these, below its first line."""
        deadline = time.monotonic() + PATIENCE
        while self.file_lines() != list(lines):
            assert time.monotonic() < deadline, f"{self.file_lines()} is not {list(lines)}"
            time.sleep(0.005)

    def file_lines(self) -> list[str]:
        try:
            first, *rest = self.labels.read_text().splitlines()
        except FileNotFoundError:
            return ["no file"]
        assert first.startswith("# +expiry-time=")
        return rest

    def expires_at(self) -> float:
        """Until when, in Unix time, the file says that it may be believed."""
        first = self.labels.read_text().splitlines()[0]
        return datetime.fromisoformat(first.removeprefix("# +expiry-time=")).timestamp()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
            self.process.wait(timeout=10)
            if self.process.stderr:
                self.log += self.process.stderr.read()  # with what was buffered for `read_until`
                self.process.stderr.close()
        self._context.destroy(0)
        return self.process.returncode


@contextmanager
def sidecar(*arguments: str, environment: dict[str, str] | None = None) -> Generator[Program]:
    with directory() as root:
        program = Program(root, *arguments, environment=environment)
        try:
            yield program
        finally:
            program.end(signal.SIGKILL)
