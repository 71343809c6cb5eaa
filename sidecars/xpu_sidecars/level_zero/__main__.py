"""The Level-Zero sidecar's command line."""

import sys
from collections.abc import Sequence

from xpu_shared.program.flags import HelpRequested, UsageError
from xpu_shared.program.settings import load
from xpu_shared.program.signals import end_on_signals
from xpu_sidecars.level_zero.settings import SidecarSettings

PROGRAM = "xpu-level-zero-sidecar"
DESCRIPTION = "Measures the Intel GPUs of this node with Level-Zero and publishes what it finds for device plugins."


def main(argv: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    try:
        loaded = load(SidecarSettings, arguments, program=PROGRAM, description=DESCRIPTION)
    except HelpRequested as help_text:
        print(help_text)
        return 0
    except UsageError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    end_on_signals()
    from xpu_sidecars.level_zero.sidecar import run  # noqa: PLC0415 - with ZeroMQ, which help does not need

    return run(loaded.settings, program=PROGRAM)


if __name__ == "__main__":
    sys.exit(main())
