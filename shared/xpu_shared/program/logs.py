"""Structured logs: a message and fields, one record a line, on standard error.

Text lines have the header that Kubernetes' own programs write, so that log collectors know it; JSON is a flag away.
Every record is written at once, so none is lost at the end of the process.
"""

import contextlib
import json
import logging
import math
import os
import select
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice

STANDARD_ERROR = 2
MOST_VERBOSE = 10
LONGEST_LINE = 16 * 1024  # bytes
MOST_FIELDS = 64
LARGEST_NUMBER = 2**53  # beyond it readers of JSON lose digits
SHOWN_AT_ONCE = 20  # problems that come or go in one scan and are spoken of one by one
PATIENCE = 0.2  # seconds that a record waits for a reader of standard error
ROOT = "xpu"
LETTERS = {logging.INFO: "I", logging.WARNING: "W", logging.ERROR: "E"}

Shown = str | int | float | bool | None  # what a field's value is in a log line


class Log:
    """A named source of records; making one only names it."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"{ROOT}.{name}")

    def info(self, message: str, /, **fields: object) -> None:
        self._write(logging.INFO, message, fields)

    def warning(self, message: str, /, **fields: object) -> None:
        self._write(logging.WARNING, message, fields)

    def error(self, message: str, /, **fields: object) -> None:
        self._write(logging.ERROR, message, fields)

    def verbose(self, level: int, message: str, /, **fields: object) -> None:
        """A record for those who asked for it with `-v` of at least `level`, 1 to `MOST_VERBOSE`."""
        self._write(logging.INFO - level, message, fields)

    def enabled(self, level: int) -> bool:
        """Whether `verbose` of that level writes anything, for fields that are dear to make."""
        return self._logger.isEnabledFor(logging.INFO - level)

    def _write(self, level: int, message: str, fields: Mapping[str, object]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, message, extra={"fields": fields}, stacklevel=3)


class StandardError(logging.Handler):
    """Writes each record at once, past Python's buffer: what is left in it when nobody reads would fail at exit."""

    _stuck = False

    def emit(self, record: logging.LogRecord) -> None:
        line = f"{self.format(record)}\n".encode(errors="backslashreplace")
        with contextlib.suppress(OSError):  # closed, or its reader went away: no reason to fail
            while line and self._taken():
                line = line[os.write(STANDARD_ERROR, line[: select.PIPE_BUF]) :]

    def _taken(self) -> bool:
        """Whether a write would not block. A reader that reads no more is waited for once, then records are lost."""
        ready = bool(select.select([], [STANDARD_ERROR], [], 0.0 if self._stuck else PATIENCE)[1])
        self._stuck = not ready
        return ready


def configure(log_format: str, verbosity: int) -> None:
    """Write records to standard error from now on; all above `MOST_VERBOSE` is the same."""
    hold_standard_descriptors()
    handler = StandardError()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logger = logging.getLogger(ROOT)
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO - min(verbosity, MOST_VERBOSE))
    logger.propagate = False


def hold_standard_descriptors() -> None:
    """Give standard descriptors that are closed to /dev/null: the next file or socket would have their numbers, and
    be written into as standard error is.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        pass
    os.close(descriptor)


def silence() -> None:
    """Write no records from now on."""
    logging.getLogger(ROOT).handlers[:] = [logging.NullHandler()]
    logging.getLogger(ROOT).propagate = False


def fields_of(record: logging.LogRecord) -> dict[str, Shown]:
    """The record's fields as they are shown; one that cannot be shown never costs the record."""
    fields: Mapping[str, object] = getattr(record, "fields", {})
    return {key: _shown(value) for key, value in islice(fields.items(), MOST_FIELDS)}


def _shown(value: object) -> Shown:
    if value is None or isinstance(value, bool):
        return value
    if type(value) is int and abs(value) <= LARGEST_NUMBER:
        return value
    if type(value) is float and math.isfinite(value):
        return value
    try:
        return str(value)[:LONGEST_LINE]
    except Exception as error:  # noqa: BLE001 - a broken __str__ of anybody's
        return f"<{type(value).__name__}: {type(error).__name__}>"


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        letter = LETTERS.get(record.levelno, "I")
        when = time.strftime("%m%d %H:%M:%S", time.localtime(record.created))
        microseconds = int(record.created % 1 * 1e6)
        header = f"{letter}{when}.{microseconds:06} {os.getpid():7} {record.filename}:{record.lineno}]"
        fields = "".join(f" {_key(key)}={_quoted(value)}" for key, value in fields_of(record).items())
        line = f"{header} {_quoted(record.getMessage())}{fields}"
        return line.encode()[:LONGEST_LINE].decode(errors="ignore")


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        milliseconds = int(record.created % 1 * 1e3)
        when = time.strftime(f"%Y-%m-%dT%H:%M:%S.{milliseconds:03}Z", time.gmtime(record.created))
        fixed = {
            "ts": when,
            "level": record.levelname.lower() if record.levelno >= logging.INFO else "debug",
            "logger": record.name.removeprefix(f"{ROOT}."),
            "caller": f"{record.filename}:{record.lineno}",
            "msg": record.getMessage()[:LONGEST_LINE],
        }
        # A field does not replace what every record has.
        fields = {f"{key}_" if key in fixed else key: value for key, value in fields_of(record).items()}
        return _object(fixed | fields)


def _object(values: Mapping[str, Shown]) -> str:
    """A JSON object of at most the longest line: texts are cut, and then the last fields are missing."""
    line = json.dumps(values)
    longest = LONGEST_LINE
    while len(line) > LONGEST_LINE and longest > 64:
        longest //= 2
        line = json.dumps({key: value[:longest] if isinstance(value, str) else value for key, value in values.items()})
    if len(line) > LONGEST_LINE:
        return _object(dict(list(values.items())[: len(values) // 2]))
    return line


def _quoted(value: Shown) -> str:
    """A JSON value, which is on one line whatever is in it."""
    if not isinstance(value, str):
        return json.dumps(value)
    return json.dumps(value[:LONGEST_LINE], ensure_ascii=not value.isprintable())


def _key(key: str) -> str:
    return key if key.isprintable() else ascii(key)


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
        new, gone = now - self._current, self._current - now
        self._current = now
        shown = nsmallest(SHOWN_AT_ONCE, new)
        shown_gone = nsmallest(SHOWN_AT_ONCE - len(shown), gone)
        more = len(new) + len(gone) - len(shown) - len(shown_gone)
        return Change(new=tuple(shown), gone=tuple(shown_gone), more=more)
