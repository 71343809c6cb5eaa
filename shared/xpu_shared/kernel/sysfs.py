"""Bounded reads below a sysfs root: whatever the tree holds, a read ends and says what it found.

Trees are untrusted input: an attribute may be a directory, a pipe, a loop of links or a megabyte of noise.
Paths may be text, because making a Path object takes as long as reading the attribute.
"""

import os
import re
import stat
from pathlib import Path

from xpu_shared.kernel.device_files import kind_of_file

LARGEST_ATTRIBUTE = 4096  # bytes: the kernel gives an attribute one page
PRINTABLE = re.compile(rb"[\t\n -~]*")
INTEGER = re.compile(r"[+-]?(?:0x[0-9a-fA-F]+|0|[1-9][0-9]*)")  # not Python's 1_000 or 0b1


class MalformedAttributeError(ValueError):
    """A sysfs attribute is readable but does not hold what the kernel documents."""

    def __init__(self, path: Path | str, *, expected: str, found: str) -> None:
        more = "…" if len(found) > 64 else ""
        super().__init__(f"{path}: expected {expected}, found {found[:64]!a}{more}")


def read_text(attribute: Path | str) -> str:
    """Read one attribute without its surrounding white space.

    Raises:
        OSError: it cannot be read, for example because the device was just unplugged.
        MalformedAttributeError: it is no regular file, longer than a page, or not printable ASCII.
    """
    # O_NONBLOCK: a pipe in the attribute's place must not hang the scan; regular files ignore it.
    descriptor = os.open(attribute, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise MalformedAttributeError(attribute, expected="a regular file", found=kind_of_file(mode))
        data = os.read(descriptor, LARGEST_ATTRIBUTE + 1)
    finally:
        os.close(descriptor)
    found = data.decode("latin-1")
    if len(data) > LARGEST_ATTRIBUTE:
        raise MalformedAttributeError(attribute, expected=f"at most {LARGEST_ATTRIBUTE} bytes", found=found)
    if not PRINTABLE.fullmatch(data.strip()):
        raise MalformedAttributeError(attribute, expected="printable text", found=found)
    return data.strip().decode("ascii")


def read_integer(attribute: Path | str) -> int:
    """Read one integer; the kernel writes ids as 0x8086 and NUMA nodes as -1.

    Raises:
        OSError, MalformedAttributeError: as `read_text`, and when the text is no integer.
    """
    text = read_text(attribute)
    if not INTEGER.fullmatch(text):
        raise MalformedAttributeError(attribute, expected="an integer", found=text)
    return int(text, base=0)


def read_link_name(link: Path | str) -> str:
    """The last element of a link's text, e.g. the driver's name of `device/driver`; OSError when it is no link."""
    return os.path.basename(os.readlink(link))  # noqa: PTH115, PTH119 - half the time of pathlib, in every scan


def list_names(directory: Path | str) -> list[str]:
    """The names in a directory in byte order; OSError when it cannot be listed."""
    return sorted(os.listdir(directory), key=os.fsencode)
