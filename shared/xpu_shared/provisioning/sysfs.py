"""The narrow interface through which provisioning sees the kernel: files of sysfs, read, written and listed.

Paths are below the root of sysfs, as in `bus/dsa/devices/wq0.1/size`. A real kernel stands behind `NodeSysfs`;
`xpu_simulator` has one without hardware.
"""

import errno
import os
import stat
from pathlib import Path
from typing import Protocol

LARGEST_ATTRIBUTE = 4096  # bytes: the kernel gives an attribute one page


class Sysfs(Protocol):
    """Every call may raise OSError, as the kernel does."""

    def read(self, path: str) -> str:
        """An attribute's text without white space around it."""

    def write(self, path: str, text: str) -> None:
        """One write, of all of the text; an empty one is written as a newline, which the kernel takes for it."""

    def names(self, path: str) -> list[str]:
        """What is in a directory."""

    def target(self, path: str) -> str:
        """The last element of where a link leads to, such as the driver's name of `<device>/driver`."""

    def exists(self, path: str) -> bool:
        """Whether there is such a file, directory or link that leads somewhere."""


class NodeSysfs:
    """The sysfs of a node, or a tree that stands for it.

    Nothing is created: a file that is not there cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)

    def read(self, path: str) -> str:
        # O_NONBLOCK: a pipe in the attribute's place must not hang; regular files ignore it.
        descriptor = os.open(f"{self._root}/{path}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "not a regular file", f"{self._root}/{path}")
            data = os.read(descriptor, LARGEST_ATTRIBUTE + 1)
        finally:
            os.close(descriptor)
        return data[:LARGEST_ATTRIBUTE].decode("utf-8", "backslashreplace").strip()

    def write(self, path: str, text: str) -> None:
        flags = os.O_WRONLY | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC  # sysfs ignores O_TRUNC, other trees do not
        descriptor = os.open(f"{self._root}/{path}", flags)
        data = text.encode() or b"\n"
        try:
            if os.write(descriptor, data) != len(data):
                raise OSError(errno.EIO, "only a part was taken", f"{self._root}/{path}")
        finally:
            os.close(descriptor)

    def names(self, path: str) -> list[str]:
        return os.listdir(f"{self._root}/{path}")

    def target(self, path: str) -> str:
        return os.path.basename(os.readlink(f"{self._root}/{path}"))  # noqa: PTH115, PTH119 - paths are text

    def exists(self, path: str) -> bool:
        return os.path.exists(f"{self._root}/{path}")  # noqa: PTH110 - as above


def reason(error: OSError) -> str:
    """An error in words, with the kernel's name for it."""
    number = error.errno or 0
    name = "EOPNOTSUPP" if number == errno.EOPNOTSUPP else errno.errorcode.get(number, "")  # ENOTSUP is the same number
    return " ".join(filter(None, (name, f"({error.strerror})" if error.strerror else str(error))))
