"""What every program's page for monitoring has: who it is, and whether its event loop lives."""

import asyncio
import platform
from importlib.metadata import version

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

ANSWER_WITHIN = 2.0  # seconds that the event loop has to show it is alive


def build_info(program: str) -> Metric:
    metric = GaugeMetricFamily("xpu_build_info", "The running program.", labels=("program", "version", "python"))
    metric.add_metric((program, version("xpu-device-plugins"), platform.python_version()), 1)
    return metric


def alive(loop: asyncio.AbstractEventLoop) -> tuple[bool, str]:
    """Whether the event loop still runs what it is given; asked from another thread."""
    try:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(ANSWER_WITHIN)
    except (TimeoutError, RuntimeError):
        return False, "the event loop does not answer"
    return True, "ok"
