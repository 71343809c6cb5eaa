"""The terminal while a view has it: its other screen, no echo of what is typed, and back whenever it is asked for."""

import asyncio
import os
import signal
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from rich.live import Live

from xpu_simulator.workspace import Workspace

INPUT_FLAGS, LOCAL_FLAGS = 0, 3  # their places in what termios gives


class Screen:
    """`again` is called when it may be taken again, after it was given back because of Ctrl-Z."""

    def __init__(self, terminal: TextIO, live: Live, workspace: Workspace, *, again: Callable[[], None]) -> None:
        self.taken = False
        self._terminal = terminal
        self._live = live
        self._workspace = workspace
        self._again = again
        self._before: list[Any] | None = None

    def take(self) -> None:
        self.taken = True
        self._workspace.lives("screen")
        with suppress(termios.error):  # it is none
            self._before = termios.tcgetattr(self._terminal)
            attributes = list(self._before)
            attributes[LOCAL_FLAGS] &= ~termios.ECHO
            attributes[INPUT_FLAGS] &= ~termios.IXON  # a terminal stopped by Ctrl-S would stop the simulation
            self._set(attributes)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTSTP, self._suspend)
        self._live.start()

    def give_back(self) -> None:
        if not self.taken:
            return
        self.taken = False
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTSTP)
        try:
            self._live.stop()
        finally:
            if self._before:
                self._set(self._before)
            self._workspace.ended("screen")

    def _suspend(self) -> None:
        """Ctrl-Z: whoever stops has no business on the screen."""
        self.give_back()
        signal.raise_signal(signal.SIGTSTP)  # it returns when this process is continued
        self._again()

    def _set(self, attributes: list[Any]) -> None:
        with suppress(termios.error):  # the terminal has gone
            termios.tcflush(self._terminal, termios.TCIFLUSH)  # what was typed is not for the shell either
            termios.tcsetattr(self._terminal, termios.TCSANOW, attributes)


def in_background(terminal: TextIO) -> bool:
    """Whether the terminal is another job's at the moment, such as the shell's."""
    try:
        return os.tcgetpgrp(terminal.fileno()) not in (os.getpgrp(), 0)  # 0: of another process namespace
    except OSError:  # it does not control this process
        return False
