"""`xpu-simulator` as a process, for tests."""

import os
import select
import subprocess
import sys
from pathlib import Path

from processes import descendants_of

PLUGIN = Path(__file__).with_name("foreign_plugin.py")
PATHS = "--kubelet-dir {kubelet_dir} --sysfs-root {sysfs_root} --dev-root {dev_root} --uevent-socket {uevent_socket}"
COMMAND = f"{sys.executable} {PLUGIN} {PATHS}"


class Simulator:
    def __init__(self, directory: Path, *arguments: str, node: str = "four-gpus") -> None:
        command = [sys.executable, "-m", "xpu_simulator", "run", node, *arguments]
        environment = {**os.environ, "TMPDIR": str(directory), "PYTHONPATH": str(PLUGIN.parents[1])}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.output = ""

    def read_until(self, text: str) -> str:
        """Read lines until one has `text` in it; that line."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return line
        raise AssertionError(f"{text!r} is not in:\n{self.output}")

    def read_until_all(self, *texts: str) -> None:
        """Read lines until each text was in one, in any order."""
        left = set(texts)
        while left:
            line = self.read_until(": ")
            left -= {text for text in left if text in line}

    def finish(self) -> int:
        output, self.errors = self.process.communicate(timeout=20)
        self.output += output
        return self.process.returncode

    def kill(self) -> None:
        """End it with SIGKILL, and wait for every process that it has started."""
        descendants = [os.pidfd_open(pid) for pid in descendants_of(self.process.pid)]
        self.process.kill()
        for descendant in descendants:
            assert select.select([descendant], [], [], 10)[0], "it has left a process behind"
            os.close(descendant)
        self.finish()
