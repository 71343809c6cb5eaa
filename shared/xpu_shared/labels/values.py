"""What Kubernetes takes as a label: the value's characters and length, and long values split over several labels."""

import re

LONGEST = 63  # bytes, of a label's value
CONTROL = "Z"  # the first character of every further chunk
MOST_CHUNKS = 32  # a node has little room for labels

VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
LONGEST_NAMESPACE = 253


class UnsplittableError(ValueError):
    """A value that no chunks of labels can carry."""


def fitting(text: str) -> str:
    """The text as a label's value: other characters become `_`, it is cut, and its ends are letters or digits.

    What is left may be empty, which is a valid value too.
    """
    replaced = re.sub(r"[^A-Za-z0-9_.-]", "_", text)
    return replaced.lstrip("_.-")[:LONGEST].rstrip("_.-")


def split(value: str) -> list[str]:
    """The chunks of a value, for labels NAME, NAME2, NAME3 …; an empty value is one empty chunk.

    Each chunk ends with a letter or digit, and every further one begins with `CONTROL`; a cut may fall inside a number.

    Raises:
        UnsplittableError: there are 63 characters in a row that no chunk can end with, or too many chunks.
    """
    chunks: list[str] = []
    room = LONGEST
    while True:
        mark = CONTROL if chunks else ""
        if len(value) <= room:
            return [*chunks, mark + value]
        end = next((place for place in reversed(range(room)) if value[place].isascii() and value[place].isalnum()), -1)
        if end < 0:
            raise UnsplittableError(f"no letter or digit to end a label with in {value[:room]!a}")
        chunks.append(mark + value[: end + 1])
        if len(chunks) == MOST_CHUNKS:
            raise UnsplittableError(f"more than {MOST_CHUNKS} labels for a value of {len(value)} more characters")
        value, room = value[end + 1 :], LONGEST - len(CONTROL)


def labels(name: str, value: str) -> dict[str, str]:
    """The labels that carry a value, in order: `name`, `name2`, `name3` …"""
    return {f"{name}{number if number > 1 else ''}": chunk for number, chunk in enumerate(split(value), start=1)}


def is_namespace(text: str) -> bool:
    """Whether it can stand before the `/` of a label's name: a DNS subdomain in lower case."""
    return (
        len(text) <= LONGEST_NAMESPACE
        and all(len(part) <= LONGEST for part in text.split("."))
        and bool(NAMESPACE.fullmatch(text))
    )
