"""Types of fields that descriptions of devices share, and how devices are numbered."""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

PCI_ADDRESS = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


def _from_hexadecimal(value: object) -> object:
    """Ids are written 0x56c0; YAML makes a number of that, quotes make it a text."""
    try:
        return int(value, base=16) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("a PCI id is written as 0x and four hexadecimal digits") from None


def _pci_address_text(value: object) -> object:
    if isinstance(value, int | float):
        raise ValueError("a PCI address needs quotes: without them YAML 1.1 reads it as a number in base 60")
    if isinstance(value, str) and not PCI_ADDRESS.fullmatch(value):
        raise ValueError("expected a PCI address such as '0000:17:00.0'")
    return value


def _name_text(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError("a name has letters, digits, '-' and '_', at most 63, and begins with a letter or digit")
    return name


PciId = Annotated[int, BeforeValidator(_from_hexadecimal), Field(strict=True, ge=0, le=0xFFFF)]
PciAddress = Annotated[str, BeforeValidator(_pci_address_text)]
Name = Annotated[str, AfterValidator(_name_text)]
NumaNode = Annotated[int, Field(strict=True, ge=-1, le=1023)]  # -1: the platform names none


def numbered(key: str, last: Callable[[Any, int], int] | None = None, *, first: int = 0) -> BeforeValidator:
    """Of a list of devices: one without `key` gets the number after its predecessor's.

    `last(entry, free)` is the highest number that an entry takes, for devices that take several; the entry is not yet
    checked, and `free` is what it gets if it has none.
    """

    def number(value: object) -> object:
        if not isinstance(value, list | tuple):
            return value  # refused next, with its place
        entries, free = [], first
        for given in value:
            entry = {key: free, **given} if isinstance(given, dict) else given
            entries.append(entry)
            free = (last or highest)(entry, free) + 1
        return entries

    def highest(entry: object, free: int) -> int:
        found = entry.get(key) if isinstance(entry, dict) else getattr(entry, key, free)
        return found if isinstance(found, int) else free

    return BeforeValidator(number)
