"""What every program's page for monitoring has: who it is, and whether its event loop lives."""

import asyncio
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

from xpu_shared.program.exposition import Family, Kind, Sample

if TYPE_CHECKING:
    from prometheus_client import Metric

BUILD = Family("xpu_build_info", Kind.GAUGE, "The running program.")
ANSWER_WITHIN = 2.0  # seconds that the event loop has to show it is alive


def build_info(program: str) -> "Metric":
    from xpu_shared.program.registry import as_metrics  # noqa: PLC0415 - only pages with a registry pay for it

    return next(as_metrics([build_sample(program)]))


def build_sample(program: str) -> Sample:
    return BUILD, {"program": program, "version": version("xpu-device-plugins"), "python": platform.python_version()}, 1


def alive(loop: asyncio.AbstractEventLoop) -> tuple[bool, str]:
    """Whether the event loop still runs what it is given; asked from another thread."""
    try:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(ANSWER_WITHIN)
    except (TimeoutError, RuntimeError):
        return False, "the event loop does not answer"
    return True, "ok"
