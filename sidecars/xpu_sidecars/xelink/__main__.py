"""The XeLink sidecar's command line."""

import sys
from collections.abc import Sequence

from xpu_shared.program.flags import HelpRequested, UsageError
from xpu_shared.program.settings import load
from xpu_shared.program.signals import end_on_signals
from xpu_sidecars.xelink.settings import XelinkSettings, completed

PROGRAM = "xpu-xelink-sidecar"
DESCRIPTION = "Learns how the Intel GPUs of this node are linked, and tells device plugins, node labels and Prometheus."


def main(argv: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    try:
        loaded = load(XelinkSettings, arguments, program=PROGRAM, description=DESCRIPTION)
    except HelpRequested as help_text:
        print(help_text)
        return 0
    except UsageError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 2
    end_on_signals()
    from xpu_sidecars.xelink.sidecar import run  # noqa: PLC0415 - with ZeroMQ, which help does not need

    return run(completed(loaded), program=PROGRAM)


if __name__ == "__main__":
    sys.exit(main())
