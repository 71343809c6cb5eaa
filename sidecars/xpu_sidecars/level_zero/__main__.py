"""The Level-Zero sidecar's command line."""

import sys
from collections.abc import Sequence

from xpu_shared.program.beginning import begin
from xpu_shared.program.flags import HelpRequested, UsageError
from xpu_shared.program.output import write

PROGRAM = "xpu-level-zero-sidecar"
DESCRIPTION = "Measures the Intel GPUs of this node with Level-Zero and publishes what it finds for device plugins."


def main(argv: Sequence[str] | None = None) -> int:
    """Without arguments: do what this process was started for."""
    if argv is None:
        begin()
    from xpu_shared.program.settings import load  # noqa: PLC0415 - a signal may come while it is imported
    from xpu_sidecars.level_zero.settings import SidecarSettings  # noqa: PLC0415

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


if __name__ == "__main__":
    sys.exit(main())
