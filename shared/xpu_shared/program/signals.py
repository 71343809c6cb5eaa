"""What signals do: before a program is at work, while it still imports, and after everything else has failed.

Process 1 ignores signals by default.
"""

import _thread
import os
import signal
import time

ENDING = (signal.SIGTERM, signal.SIGINT)


def end_on_signals() -> None:
    """End with exit code 0 at SIGTERM or SIGINT, until whoever works installs handlers of its own."""
    for number in ENDING:
        # Not sys.exit: an exception raised in the middle of an import may be swallowed there. Nothing is open yet.
        signal.signal(number, lambda *_: os._exit(0))


def die_of_signals() -> None:
    """As any command does that prints something and ends: `end_on_signals` is for programs that stay."""
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)


def ignore_signals() -> None:
    """Let a second SIGTERM or SIGINT change nothing: Python, while it ends, would die of it."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


def end_at_last(seconds: float) -> None:
    """End the process after so many seconds, whatever still hangs then: a plugin's clean-up, a library's thread.

    Called in signal handlers. A `threading.Thread` would need locks that the code they interrupt may hold.

    Raises:
        RuntimeError: no thread can be had.
    """
    _thread.start_new_thread(_end, (seconds,))


def _end(seconds: float) -> None:
    time.sleep(seconds)
    os._exit(0)
