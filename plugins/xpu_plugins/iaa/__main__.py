"""The IAA plugin's command line."""

import sys
from collections.abc import Sequence

from xpu_shared.program.beginning import begin


def main(arguments: Sequence[str] | None = None) -> int:
    """Without arguments: do what this process was started for."""
    if arguments is None:
        begin()
    from xpu_plugins.iaa.program import PROGRAM  # noqa: PLC0415 - a signal may come while it is imported

    return PROGRAM.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
