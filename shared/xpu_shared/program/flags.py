"""Command lines in the syntax of Go's flag package, which the programs replaced by ours have.

One or two dashes are equal; `-name=value` or `-name value`; a boolean takes a value only with `=`. Words without a
dash may stand anywhere before `--`; after it everything is a word. Of a flag given twice the last one counts, unless
it is one that may be repeated.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xpu_shared.program.options import Boolean, Option, OutOfRangeError


class UsageError(Exception):
    """A command line or settings file that cannot be used: one line with flag or key, value and what is allowed."""

    def __init__(self, text: str, *, exit_code: int = 2) -> None:
        super().__init__(text)
        self.exit_code = exit_code  # that the program ends with


class UnknownFlagError(UsageError):
    """A flag that there is not."""

    def __init__(self, argument: str, name: str, options: Mapping[str, Option[Any]]) -> None:
        super().__init__(f"unknown flag {shown(argument)}{_suggestion(name, options)}")
        self.argument = argument
        self.name = name  # without dashes and value


def exit_code(refused: ValueError | None) -> int:
    """What a program ends with because of a refused value."""
    return 1 if isinstance(refused, OutOfRangeError) else 2


class HelpRequested(Exception):  # noqa: N818 - not an error
    """-h or --help was given."""


@dataclass(slots=True)
class Parsed:
    values: dict[str, Any] = field(default_factory=dict)  # by flag name
    texts: dict[str, str | list[str]] = field(default_factory=dict)  # what was parsed
    words: list[str] = field(default_factory=list)


def parse(arguments: Sequence[str], options: Mapping[str, Option[Any]]) -> Parsed:
    """Read a command line.

    Args:
        options: by flag name without dashes.
    Raises:
        UsageError, HelpRequested
    """
    parsed = Parsed()
    rest = deque(arguments)
    while rest:
        argument = rest.popleft()
        if argument == "--":
            parsed.words += rest
            break
        if not argument.startswith("-") or argument == "-":
            parsed.words.append(argument)
            continue
        _flag(argument, rest, options, parsed)
    return parsed


def _flag(argument: str, rest: deque[str], options: Mapping[str, Option[Any]], parsed: Parsed) -> None:
    name, equals, text = argument.removeprefix("-").removeprefix("-").partition("=")
    option = options.get(name)
    if option is None:
        if name in ("h", "help"):
            raise HelpRequested
        raise UnknownFlagError(argument, name, options)
    if not equals:
        if isinstance(option, Boolean):
            text = "true"
        elif rest:
            text = rest.popleft()
        else:
            raise UsageError(f"flag {dashed(name)} needs a value: expected {option.allowed}")
    try:
        value = option.parse(text)
    except ValueError as error:
        message = f"flag {dashed(name)}: {error}, found {shown(text)}"
        raise UsageError(message, exit_code=exit_code(error)) from None
    if option.repeatable:
        parsed.values[name] = tuple(dict.fromkeys((*parsed.values.get(name, ()), *value)))
        parsed.texts[name] = [*parsed.texts.get(name, ()), text]
    else:
        parsed.values[name], parsed.texts[name] = value, text


def dashed(name: str) -> str:
    """A flag as people write it: one letter has one dash."""
    return f"-{name}" if len(name) == 1 else f"--{name}"


def shown(text: object) -> str:
    """A value from outside, on one line and not too long."""
    quoted = ascii(text)
    return quoted if len(quoted) <= 120 else quoted[:120] + "…"


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that somebody who wrote another one most likely meant; None when none is like it."""
    import difflib  # noqa: PLC0415 - only an error needs it

    close = difflib.get_close_matches(name[:64], list(known), n=1)
    return close[0] if close else None


def _suggestion(name: str, options: Mapping[str, Option[Any]]) -> str:
    close = closest(name, options)
    return f"; did you mean {dashed(close)}?" if close else "; --help lists the flags"
