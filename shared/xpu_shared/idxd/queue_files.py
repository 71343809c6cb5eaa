"""A user queue's two files in /dev: its character device, and udev's link to it by number in /dev/char.

Older releases of the library that workloads use open the second one.
"""

# ruff: noqa: PTH114, PTH115, PTH116, PTH119 - the functions of os for paths that are text

import os
import stat

from xpu_shared.kernel.device_files import kind_of_file

Number = tuple[int, int]  # major, minor


class WrongFileError(Exception):
    """Something is there that must not be handed out; the text says what it is."""


def character_device(path: str, number: Number | None, *, simulated: bool) -> os.stat_result:
    """The status of a queue's character device.

    Args:
        number: what sysfs says it has; None: sysfs says nothing.
        simulated: a regular file may stand for it, because making a device file needs root.
    Raises:
        FileNotFoundError: nothing is there.
        WrongFileError: it is something else, or of another number.
        OSError: it cannot be looked at.
    """
    link = os.path.islink(path)
    try:
        status = os.stat(path)
    except FileNotFoundError:
        if link:
            raise WrongFileError(f"it is a link to nothing, {os.readlink(path)!a}") from None
        raise
    if simulated and stat.S_ISREG(status.st_mode) and not link:
        return status
    if not stat.S_ISCHR(status.st_mode):
        raise WrongFileError(f"it is {_kind(status)}{_target(path, link)}, no character device")
    if number is None and link:
        raise WrongFileError(f"it is {_kind(status)}{_target(path, link)}, and sysfs does not say its number")
    if number is not None and _number(status) != number:
        raise WrongFileError(
            f"it is {_kind(status)}{_target(path, link)} with the number {_shown(_number(status))}, "
            f"while sysfs says {_shown(number)}: left over, or another device's"
        )
    return status


def number_of(status: os.stat_result, number: Number | None) -> Number | None:
    """The file's own number, or for a regular file that stands for a device what sysfs says."""
    return _number(status) if stat.S_ISCHR(status.st_mode) else number


def check_char_entry(entry: str, file: str, number: Number, *, simulated: bool) -> None:
    """See that a queue's entry in /dev/char leads to its file, or is the same device.

    Args:
        entry, file: paths of the two.
    Raises:
        FileNotFoundError: there is no entry.
        WrongFileError: it is not the queue's.
        OSError: it cannot be looked at.
    """
    status = os.lstat(entry)
    if stat.S_ISLNK(status.st_mode):
        target = os.readlink(entry)
        directory, name = os.path.split(file)
        own = f"{os.path.basename(directory)}/{name}"
        if target == f"../{own}":
            return  # as udev makes it
        if simulated and target == f"/dev/{own}":
            return  # as it is on the node that is simulated
        try:
            real = os.path.realpath(entry, strict=True)
        except OSError as error:
            raise WrongFileError(f"it leads to {target!a}: {error.strerror}") from None
        if real != os.path.realpath(file):
            raise WrongFileError(f"it leads to {real}, not to {file}")
    elif not (
        (stat.S_ISCHR(status.st_mode) and _number(status) == number) or (simulated and stat.S_ISREG(status.st_mode))
    ):
        raise WrongFileError(f"it is {_kind(status)}, neither a link to {file} nor the same device")


def is_orphan(directory: str) -> bool:
    """Whether it was removed: the kernel removes it with its last file, and a mount of it stays empty for ever."""
    try:
        return os.stat(directory).st_nlink == 0
    except OSError:
        return False


def _kind(status: os.stat_result) -> str:
    return f"a {kind_of_file(status.st_mode)}"


def _target(path: str, link: bool) -> str:
    return f" behind a link to {os.readlink(path)!a}" if link else ""


def _number(status: os.stat_result) -> Number:
    return os.major(status.st_rdev), os.minor(status.st_rdev)


def _shown(number: Number) -> str:
    return f"{number[0]}:{number[1]}"
