"""What the structures of Level-Zero's C headers have in common, and the check that ours have the library's layout.

Only layouts are in these modules; `library.py` has the calls. They have not changed since API 1.4 on 64-bit machines,
so declaring them costs less than pyzes does, which opens one fixed path while it is imported, lacks RAS, fabric,
device state and firmware, and fails late on older loaders.
"""

from collections.abc import Mapping, Sequence
from ctypes import Structure, c_char, c_uint8, c_uint32, c_void_p, sizeof
from typing import Any, ClassVar

Field = tuple[str, Any]
NAME = c_char * 64
LONG_NAME = c_char * 256
HEADER: Sequence[Field] = (("stype", c_uint32), ("pNext", c_void_p))
LOCATION: Sequence[Field] = (("onSubdevice", c_uint8), ("subdeviceId", c_uint32))


class Typed(Structure):
    """A structure that begins with its own type and a pointer to an extension; both are set when it is made."""

    STYPE: ClassVar[int]
    stype: int
    pNext: int | None

    def __init__(self) -> None:
        super().__init__()
        self.stype = self.STYPE


def check(sizes: Mapping[type[Structure], int]) -> None:
    """Refuse to be imported with a wrong layout, which the driver would write beyond."""
    for structure, size in sizes.items():
        if sizeof(structure) != size:  # not assert, which python -O leaves out
            raise ImportError(
                f"{structure.__name__}: expected {size} bytes as in the header, found {sizeof(structure)}"
            )
