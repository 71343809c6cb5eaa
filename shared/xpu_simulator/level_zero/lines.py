"""The file that the simulated library reads: a line for each driver, device and component, as `name=value` words."""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

VARIABLE = "LEVEL_ZERO_STUB_SCENARIO"  # in the environment of whoever loads the library


def line(keyword: str, **values: object) -> str:
    """One line; blanks and the like in a value are written as %20. Values that are None are left out."""
    words = [f"{name}={quote(_text(value), safe=':.,-+/')}" for name, value in values.items() if value is not None]
    return " ".join((keyword, *words))


def _text(value: object) -> str:
    if isinstance(value, tuple):  # a call gets one after the other
        return ",".join(map(_text, value))
    return f"{value:d}" if isinstance(value, bool) else str(value)


def write(path: Path, lines: Iterable[str]) -> None:
    """Put the file in place in one step, as the library may read it at any moment."""
    fresh = path.with_name(f".{path.name}")
    fresh.write_text("".join(f"{text}\n" for text in lines))
    fresh.replace(path)
