"""Temporary: replaced by the helper's version."""
import logging
from dataclasses import dataclass


class Log:
    def __init__(self, name): self._l = logging.getLogger("xpu." + name)
    def _e(self, level, m, f): self._l.log(level, m + " " + " ".join(f"{k}={v!r}" for k, v in f.items()))
    def info(self, m, **f): self._e(20, m, f)
    def warning(self, m, **f): self._e(30, m, f)
    def error(self, m, **f): self._e(40, m, f)
    def verbose(self, v, m, **f): self._e(20 - v, m, f)


def configure(format, verbosity): logging.basicConfig(level=20 - verbosity)


@dataclass
class Change:
    new: list
    gone: list
    more: int


class Changes:
    def __init__(self): self._now = set()
    def report(self, problems):
        p = set(problems); c = Change(sorted(p - self._now), sorted(self._now - p), 0); self._now = p
        return c
