"""Loaded by every Python program that finds it on PYTHONPATH: its wall clock is ahead by what a file says.

The file has a number of seconds and is read at each look at the clock: the clock jumps when the file is replaced.
gRPC is told the kernel's time: it adds time-outs to it in Python and compares the sum with the clock in C, where on
a real machine both have jumped. What Python itself does with wall time, in logs, metrics and telemetry, is ours.
"""

import datetime
import os
import sys
import time

_file = os.environ["XPU_SOAK_CLOCK"]
_time, _time_ns = time.time, time.time_ns


def _ahead() -> int:
    if sys._getframe(2).f_globals.get("__name__", "").startswith("grpc."):
        return 0
    with open(_file) as file:  # noqa: PTH123 - before pathlib is imported, whose imports a program may not pay for
        return int(file.read())


def _jumping() -> float:
    return _time() + _ahead()


def _jumping_ns() -> int:
    return _time_ns() + _ahead() * 1_000_000_000


class _Datetime(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "_Datetime":
        return cls.fromtimestamp(_jumping(), tz)


time.time, time.time_ns = _jumping, _jumping_ns
datetime.datetime = _Datetime  # type: ignore[misc]
