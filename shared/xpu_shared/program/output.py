"""What a program prints because it was asked to: help, and what `discover` finds."""

import os
import sys


def write(text: str, *, program: str) -> int:
    """Print it; returns the exit code, which is 0 also when nobody reads on, as of `discover | head`."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _give_up()
    except OSError as error:
        _give_up()
        print(f"{program}: cannot write: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _give_up() -> None:
    """Let what Python still holds not fail once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
