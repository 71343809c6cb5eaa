"""The Level-Zero sidecar's command line."""

import sys
from collections.abc import Sequence

from xpu_shared.program.beginning import begin


def main(argv: Sequence[str] | None = None) -> int:
    """Without arguments: do what this process was started for."""
    if argv is None:
        begin()
    from xpu_sidecars.level_zero import program  # noqa: PLC0415 - a signal may come while it is imported

    return program.main(argv)


if __name__ == "__main__":
    sys.exit(main())
