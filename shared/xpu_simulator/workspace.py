"""The directory of a simulation, and the process that removes it when the simulation ends or is killed."""

import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from xpu_simulator.guardian import MARKER, hold, remove

PATIENCE = 10.0  # seconds for the guardian to remove the directory


class Workspace:
    """`root` is an empty directory of ours until the end of the `with` block, or of this process.

    `terminal` is where a view is shown: it is restored when this process is killed.
    """

    def __init__(self, terminal: TextIO | None = None) -> None:
        guardian = Path(__file__).with_name("guardian.py")
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", str(guardian), tempfile.gettempdir()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=terminal or subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            text=True,
        )
        assert self._guardian.stdin
        assert self._guardian.stdout
        self._stdin = self._guardian.stdin
        with self._guardian.stdout as answer:
            text = answer.readline().rstrip("\n")
        self.root = Path(text)
        if not self.root.is_absolute():
            self.close()
            raise OSError(text or "no directory could be made")
        self._lock = hold(self.root / MARKER)

    def lives(self, name: int | str) -> None:
        """A process group, or the `screen`, is to be ended with this process."""
        self._tell(f"+{name}")

    def ended(self, name: int | str) -> None:
        self._tell(f"-{name}")

    def close(self) -> None:
        with suppress(BrokenPipeError):
            self._stdin.close()
        try:
            self._guardian.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._guardian.kill()
            self._guardian.wait()
        if self.root.is_absolute():
            remove(self.root, [])  # there is something only if the guardian was killed
            os.close(self._lock)

    def __enter__(self) -> "Workspace":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _tell(self, line: str) -> None:
        with suppress(BrokenPipeError):  # the guardian was killed: the end of the block removes the directory
            print(line, file=self._stdin, flush=True)
