"""Structured logs: a message and fields, one record a line, on standard error.

Text lines have the header that Kubernetes' own programs write, so that log collectors know it; JSON is a flag away.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass

LONGEST_LINE = 16 * 1024  # characters
SHOWN_AT_ONCE = 20  # problems that come or go in one scan and are spoken of one by one
ROOT = "xpu"
LETTERS = {logging.INFO: "I", logging.WARNING: "W", logging.ERROR: "E"}


class Log:
    """A named source of records; making one only names it."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"{ROOT}.{name}")

    def info(self, message: str, **fields: object) -> None:
        self._write(logging.INFO, message, fields)

    def warning(self, message: str, **fields: object) -> None:
        self._write(logging.WARNING, message, fields)

    def error(self, message: str, **fields: object) -> None:
        self._write(logging.ERROR, message, fields)

    def verbose(self, level: int, message: str, **fields: object) -> None:
        """A record for those who asked for it with `-v` of at least `level`, 1 to 10."""
        self._write(logging.INFO - level, message, fields)

    def _write(self, level: int, message: str, fields: dict[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, message, extra={"fields": fields}, stacklevel=3)


def configure(log_format: str, verbosity: int) -> None:
    """Write records to standard error from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logger = logging.getLogger(ROOT)
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO - verbosity)
    logger.propagate = False
    logging.raiseExceptions = False  # a reader of our logs that went away is no reason to speak


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """The record's fields as texts; a value that cannot be shown never costs the record."""
    shown = {}
    for key, value in getattr(record, "fields", {}).items():
        try:
            shown[key] = str(value)
        except Exception as error:  # noqa: BLE001 - a broken __str__ of anybody's
            shown[key] = f"<{type(value).__name__}: {type(error).__name__}>"
    return shown


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        letter = LETTERS.get(record.levelno, "I")
        when = time.strftime("%m%d %H:%M:%S", time.localtime(record.created))
        microseconds = int(record.created % 1 * 1e6)
        header = f"{letter}{when}.{microseconds:06} {os.getpid():7} {record.filename}:{record.lineno}]"
        fields = "".join(f" {key}={_quoted(text)}" for key, text in fields_of(record).items())
        return f"{header} {_quoted(record.getMessage())}{fields}"[:LONGEST_LINE]


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        milliseconds = int(record.created % 1 * 1e3)
        when = time.strftime(f"%Y-%m-%dT%H:%M:%S.{milliseconds:03}Z", time.gmtime(record.created))
        level = record.levelname.lower() if record.levelno >= logging.INFO else "debug"
        fixed = {"ts": when, "level": level, "logger": record.name, "caller": f"{record.filename}:{record.lineno}"}
        limit = LONGEST_LINE // 8
        fields = {key: text[:limit] for key, text in fields_of(record).items()}
        return json.dumps({**fixed, "msg": record.getMessage()[:limit], **fields})


def _quoted(text: str) -> str:
    """A JSON string, which is on one line whatever is in it."""
    return json.dumps(text[:LONGEST_LINE], ensure_ascii=not text.isprintable())


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    new: tuple[str, ...]
    gone: tuple[str, ...]
    more: int  # how many more came or went


class Changes:
    """Which problems are new and which are gone, so that each is spoken of once and not once per look."""

    def __init__(self) -> None:
        self._current: frozenset[str] = frozenset()

    def report(self, problems: Iterable[str]) -> Change:
        """Compare with the problems of the last call."""
        now = frozenset(problems)
        new, gone = sorted(now - self._current), sorted(self._current - now)
        self._current = now
        shown = new[:SHOWN_AT_ONCE]
        shown_gone = gone[: SHOWN_AT_ONCE - len(shown)]
        more = len(new) + len(gone) - len(shown) - len(shown_gone)
        return Change(new=tuple(shown), gone=tuple(shown_gone), more=more)
