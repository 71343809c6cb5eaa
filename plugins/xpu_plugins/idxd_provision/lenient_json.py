"""JSON as accel-config's users write it: comments and trailing commas are taken, everything else must be right.

Both are replaced by spaces before Python's own parser sees the text, so that lines and columns stay true.
"""

import json
import re
from typing import Any

from xpu_shared.program.flags import shown

DEEPEST = 32
LONGEST_NUMBER = 30  # characters
# What Python's parser takes although JSON has no such numbers, or nobody means them.
NO_NUMBER = re.compile(rf"NaN|Infinity|[0-9]{{{LONGEST_NUMBER + 1},}}")


class MalformedJsonError(ValueError):
    """With line and column, where there are some."""


def parse(text: str) -> Any:
    """The value of a document.

    Raises:
        MalformedJsonError: it is none, is nested too deep, or repeats a key.
    """
    if text.startswith("\ufeff"):
        raise MalformedJsonError("line 1 column 1: a byte order mark: expected [")
    try:
        return json.loads(
            _plain(text),
            object_pairs_hook=_object,
        )
    except json.JSONDecodeError as error:
        raise MalformedJsonError(f"line {error.lineno} column {error.colno}: {error.msg}") from None


def _plain(text: str) -> str:
    """The text without comments and without commas before a closing bracket, everything else where it was."""
    characters = list(text)
    comma: int | None = None  # the place of a comma that may trail: after it nothing but space has come
    last = ""  # the last character that is neither space nor part of a comment
    depth, place = 0, 0
    while place < len(text):
        character = text[place]
        if character == '"':
            place, comma, last = _string_end(text, place), None, '"'
            continue
        if text.startswith(("//", "/*"), place):
            end = _comment_end(text, place)
            characters[place:end] = [" " if one != "\n" else one for one in text[place:end]]
            place = end
            continue
        if character in "NI0123456789" and (number := NO_NUMBER.match(text, place)):
            found = number[0] if number[0].isalpha() else f"a number of {len(number[0])} digits"
            raise MalformedJsonError(f"{_position(text, place)}: {found} is no value")
        if character in "[{":
            depth += 1
            if depth > DEEPEST:
                raise MalformedJsonError(f"{_position(text, place)}: nested deeper than {DEEPEST}")
        elif character in "]}":
            depth -= 1
            if comma is not None:
                characters[comma] = " "
        if not character.isspace():
            # One comma with something before it may trail, not two.
            comma = place if character == "," and last not in ("", "[", "{", ",") else None
            last = character
        place += 1
    return "".join(characters)


def _string_end(text: str, start: int) -> int:
    place = start + 1
    while place < len(text) and text[place] not in '"\n':
        place += 2 if text[place] == "\\" else 1
    return place + 1


def _comment_end(text: str, start: int) -> int:
    if text.startswith("//", start):
        end = text.find("\n", start)
        return len(text) if end < 0 else end
    end = text.find("*/", start + 2)
    if end < 0:
        raise MalformedJsonError(f"{_position(text, start)}: a comment without end")
    return end + 2


def _position(text: str, place: int) -> str:
    line = text.count("\n", 0, place) + 1
    return f"line {line} column {place - text.rfind(chr(10), 0, place)}"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise MalformedJsonError(f"key {shown(key)} is given twice in an object{_named(values)}")
        values[key] = value
    return values


def _named(values: dict[str, Any]) -> str:
    return f", that of {shown(values['dev'])}" if "dev" in values else ""
