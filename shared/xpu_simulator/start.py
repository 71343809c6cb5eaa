"""Where the command `xpu-simulator` begins: Ctrl-C ends it quietly also while it imports what it works with."""

import signal


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from xpu_simulator.__main__ import main as simulator  # noqa: PLC0415 - it takes a quarter of a second

    signal.signal(signal.SIGINT, signal.default_int_handler)
    return simulator()
