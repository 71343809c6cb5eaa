"""Tables on standard output, for people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xpu_shared.device import Device


@dataclass(frozen=True, slots=True)
class Column:
    """Of a table of devices: what is special about those of a family."""

    header: str
    cell: Callable[[Device], str]  # empty: the device has none


CDI_DEVICE = Column("CDI DEVICE", lambda device: device.cdi.qualified_name if device.cdi else "")


def lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with aligned cells. Texts may come from file names, so what not every terminal can show is escaped."""
    printable = [[cell if cell.isprintable() and cell.isascii() else ascii(cell)[1:-1] for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*printable, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in printable]
