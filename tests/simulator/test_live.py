"""The live view, in a terminal of 100 x 30 characters."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Generator
from pathlib import Path

import pytest

from processes import descendants_of
from simulator.process import COMMAND, PLUGIN

COLUMNS, LINES = 100, 30
ALTERNATE, NORMAL = "\033[?1049h", "\033[?1049l"
HIDDEN, SHOWN = "\033[?25l", "\033[?25h"
HOME = "\033[H"


class Terminal:
    """A program in a terminal: the simulator, or a shell."""

    def __init__(self, directory: Path, *arguments: str, shell: bool = False) -> None:
        self._side, program_side = os.openpty()
        self._resize(program_side, LINES, COLUMNS)
        environment = {**os.environ, "TMPDIR": str(directory), "PYTHONPATH": str(PLUGIN.parents[1]), "TERM": "xterm"}
        command = [sys.executable, "-m", "xpu_simulator", "run", *arguments]
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "bash", "--norc", "-i"] if shell else command,
            stdin=program_side,
            stdout=program_side,
            stderr=program_side,
            env=environment,
        )
        os.close(program_side)
        self.output = ""

    def read_until(self, text: str, *, lines: int = 0) -> None:
        """Read until the last picture has `text` in it, and so many lines."""
        while not any(text in line for line in self.picture()) or lines not in (0, len(self.picture())):
            self._read(text)

    def read_to_the_end(self) -> int:
        while self._read("its end"):
            pass
        os.close(self._side)
        return self.process.wait(10)

    def type(self, keys: str) -> None:
        os.write(self._side, keys.encode())

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._side)[3] & termios.ECHO)

    def read_until_written(self, text: str) -> None:
        """Read until it is there from now on."""
        start = len(self.output)
        while text not in self.output[start:]:
            self._read(text)

    def resize(self, lines: int, columns: int) -> None:
        self._resize(self._side, lines, columns)
        self.process.send_signal(signal.SIGWINCH)  # it is not this terminal's foreground process

    def hang_up(self) -> None:
        os.close(self._side)
        self.process.send_signal(signal.SIGHUP)

    def picture(self) -> list[str]:
        return plain(self.output.rpartition(HOME)[2]).split("\n")

    def _read(self, awaited: str) -> bool:
        assert select.select([self._side], [], [], 20)[0], f"no {awaited!r} in {self.output!r}"
        try:
            data = os.read(self._side, 65536)
        except OSError:  # EIO: the last program has closed the terminal
            return False
        self.output += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    @staticmethod
    def _resize(descriptor: int, lines: int, columns: int) -> None:
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def plain(text: str) -> str:
    return re.sub(r"\033\[[0-9;?]*[A-Za-z]", "", text)


@pytest.fixture
def terminal(directory: Path) -> Generator[Terminal]:
    terminal = Terminal(directory, "four-gpus", "--plugin", COMMAND)
    yield terminal
    terminal.process.kill()
    terminal.process.wait()


def test_it_shows_resources_devices_and_events_and_gives_the_terminal_back(terminal: Terminal) -> None:
    terminal.read_until("4 of 4 healthy")
    terminal.read_until("Ctrl-C ends.", lines=LINES)

    lines = terminal.picture()
    assert len(lines) == LINES
    assert all(len(line) <= COLUMNS for line in lines)
    assert lines[0].startswith("four-gpus   kubelet 1.36 running   0 pods   /tmp/")
    assert lines[4].split() == ["example.com/card", "4", "4", "0"]
    assert lines[7].split() == ["card0", "Healthy", "-", "card2", "Healthy", "-"]
    assert any("example.com/card: 4 of 4 healthy: card0" in line for line in lines)

    terminal.process.send_signal(signal.SIGINT)
    assert terminal.read_to_the_end() == 0
    view, _, after = terminal.output.rpartition(NORMAL)
    assert ALTERNATE in view
    assert terminal.output.rfind(SHOWN) > terminal.output.rfind(HIDDEN)
    assert plain(after).strip().splitlines()[-1].startswith("ok: ")


def test_it_follows_the_size_of_the_terminal(terminal: Terminal) -> None:
    terminal.read_until("4 of 4 healthy")
    terminal.resize(20, 60)
    terminal.read_until("/tmp/xs-", lines=20)
    terminal.read_until("Ctrl-C ends.")
    assert all(len(line) <= 60 for line in terminal.picture())
    terminal.process.terminate()
    assert terminal.read_to_the_end() == 0


def test_a_plugin_that_dies_is_told_where_it_can_be_read_later(directory: Path) -> None:
    terminal = Terminal(directory, "four-gpus", "--plugin", f"{COMMAND} --exit-code 3")
    assert terminal.read_to_the_end() == 1
    after = plain(terminal.output.rpartition(NORMAL)[2])
    assert "exited with 3; its last lines were:" in after
    assert "these are my last words" in after


def test_killed_it_still_gives_the_terminal_back(terminal: Terminal, directory: Path) -> None:
    terminal.read_until("4 of 4 healthy")
    descendants = [os.pidfd_open(pid) for pid in descendants_of(terminal.process.pid)]

    terminal.process.kill()

    terminal.read_to_the_end()
    assert terminal.output.endswith(NORMAL + SHOWN)
    for descendant in descendants:
        assert select.select([descendant], [], [], 10)[0]
        os.close(descendant)
    assert list(directory.iterdir()) == []


def test_a_terminal_that_is_closed_ends_it(terminal: Terminal, directory: Path) -> None:
    terminal.read_until("4 of 4 healthy")
    terminal.hang_up()
    terminal.process.wait(20)
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("option", [["--plain"], ["--scenario", "demo"]])
def test_lines_are_written_when_they_are_wanted_and_for_scenarios(directory: Path, option: list[str]) -> None:
    terminal = Terminal(directory, "four-gpus", "--plugin", COMMAND, *option)
    terminal.read_until("4 of 4 healthy")
    terminal.process.terminate()
    terminal.read_to_the_end()
    assert ALTERNATE not in terminal.output


def test_output_of_plugins_is_among_the_events(directory: Path) -> None:
    terminal = Terminal(directory, "four-gpus", "--plugin", COMMAND, "--show-output")
    terminal.read_until("| the cards are served")
    terminal.process.terminate()
    assert terminal.read_to_the_end() == 0


RUN = f"{sys.executable} -m xpu_simulator run four-gpus --plugin '{COMMAND}'"


def test_ctrl_z_gives_the_terminal_to_the_shell_until_it_is_continued(directory: Path) -> None:
    terminal = Terminal(directory, shell=True)
    terminal.type(f"{RUN}\n")
    terminal.read_until("4 of 4 healthy")
    assert not terminal.echoes()

    terminal.type("\x1a")
    terminal.read_until_written("Stopped")
    assert terminal.output.rfind(NORMAL) > terminal.output.rfind(ALTERNATE)
    assert terminal.output.rfind(SHOWN) > terminal.output.rfind(HIDDEN)

    terminal.type("bg\n")
    terminal.type(f"{sys.executable} -m xpu_simulator remove gpu3; stty -a | grep -o ' echo '\n")
    terminal.read_until_written("gpu3 is pulled out\n echo \n")
    assert terminal.output.rfind(NORMAL) > terminal.output.rfind(ALTERNATE)

    terminal.type("fg\n")
    terminal.read_until_written(ALTERNATE)
    terminal.read_until("3 of 3 healthy")
    terminal.type("\x03")
    terminal.read_until_written(" expectations passed")
    terminal.type("exit\n")
    assert terminal.read_to_the_end() == 0


def test_in_the_background_it_writes_lines(directory: Path) -> None:
    terminal = Terminal(directory, shell=True)
    terminal.type(f"{RUN} &\n")
    terminal.read_until_written("4 of 4 healthy")
    terminal.type("kill %1; wait; exit\n")
    terminal.read_to_the_end()
    assert ALTERNATE not in terminal.output


def test_killed_it_lets_the_terminal_echo_again(terminal: Terminal) -> None:
    terminal.read_until("4 of 4 healthy")
    assert not terminal.echoes()
    terminal.process.kill()
    terminal.read_until_written(NORMAL + SHOWN)
    assert terminal.echoes()
    terminal.read_to_the_end()
