"""The Level-Zero sidecar as a program."""

import sys
from collections.abc import Sequence

from xpu_shared.program.flags import HelpRequested, UsageError
from xpu_shared.program.output import write
from xpu_shared.program.settings import load
from xpu_sidecars.level_zero.settings import SidecarSettings

PROGRAM = "xpu-level-zero-sidecar"
DESCRIPTION = "Measures the Intel GPUs of this node with Level-Zero and publishes what it finds for device plugins."


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit code.

    Args:
        argv: without the program's name; by default the arguments of this process.
    """
    arguments = sys.argv[1:] if argv is None else argv
    try:
        loaded = load(SidecarSettings, arguments, program=PROGRAM, description=DESCRIPTION)
    except HelpRequested as help_text:
        return write(str(help_text), program=PROGRAM)
    except UsageError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    from xpu_sidecars.level_zero.sidecar import run  # noqa: PLC0415 - with ZeroMQ, which help does not need

    return run(loaded.settings, program=PROGRAM)
