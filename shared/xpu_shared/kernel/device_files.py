"""Device files: what kind of file a path in /dev is. A plugin hands out character devices and nothing else."""

import stat
from pathlib import Path

REAL_DEV = Path("/dev")
CHARACTER_DEVICE = "character device"
REGULAR_FILE = "regular file"
DIRECTORY = "directory"
KINDS = {
    stat.S_IFCHR: CHARACTER_DEVICE,
    stat.S_IFREG: REGULAR_FILE,
    stat.S_IFDIR: DIRECTORY,
    stat.S_IFBLK: "block device",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
}


def kind_of_file(mode: int) -> str:
    """What a status's mode says, in words."""
    return KINDS.get(stat.S_IFMT(mode), "file of an unknown kind")


def is_simulated(dev: Path) -> bool:
    """Whether `dev` stands for /dev: there other files may stand for device files, because making one needs root."""
    return dev != REAL_DEV
