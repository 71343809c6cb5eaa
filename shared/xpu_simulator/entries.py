"""The things a simulated sysfs and /dev are made of.

Every path is relative to the simulated root, as in `sys/class/drm/card0` and `dev/dri/card0`.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class Directory:
    path: PurePosixPath


@dataclass(frozen=True, slots=True)
class Attribute:
    path: PurePosixPath
    text: str  # without the newline that the kernel ends it with


@dataclass(frozen=True, slots=True)
class Link:
    path: PurePosixPath
    target: PurePosixPath  # below the root too; the link itself is written relative, as the kernel and udev do


@dataclass(frozen=True, slots=True)
class CharacterDevice:
    path: PurePosixPath
    number: str | None = None  # major:minor of the file; None: that of /dev/null, which everybody may open


Entry = Directory | Attribute | Link | CharacterDevice
