"""A device that a driver adds to the kernel and that has a file in /dev: its entries in sysfs, its file, its event."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from xpu_simulator.entries import Attribute, CharacterDevice, Entry, Link
from xpu_simulator.uevents import Uevent

SYS = PurePosixPath("sys")
DEV = PurePosixPath("dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelDevice:
    path: PurePosixPath  # its directory, below sys/devices
    subsystem: PurePosixPath  # sys/class/drm or sys/bus/dsa
    number: str  # major:minor
    node: str  # below /dev: dri/card0
    own_number: bool = False  # whether its file has its number; else it has that of /dev/null
    variables: Mapping[str, str] = field(default_factory=dict)  # what its event tells besides

    @property
    def file(self) -> CharacterDevice:
        return CharacterDevice(DEV / self.node, self.number if self.own_number else None)

    def entries(self) -> Iterator[Entry]:
        """What every such device has; the link from its class comes last, when all of it is there."""
        major, minor = self.number.split(":")
        yield Attribute(self.path / "dev", self.number)
        yield Attribute(self.path / "uevent", f"MAJOR={major}\nMINOR={minor}\nDEVNAME={self.node}")
        yield Link(self.path / "subsystem", self.subsystem)
        yield Link(SYS / "dev/char" / self.number, self.path)
        members = self.subsystem / "devices" if self.subsystem.parent.name == "bus" else self.subsystem
        yield Link(members / self.path.name, self.path)

    @property
    def removed(self) -> Uevent:
        return replace(self.added, action="remove")

    @property
    def added(self) -> Uevent:
        major, minor = self.number.split(":")
        variables = {"MAJOR": major, "MINOR": minor, "DEVNAME": self.node, **self.variables}
        return Uevent(action="add", devpath=devpath(self.path), subsystem=self.subsystem.name, variables=variables)


def devpath(path: PurePosixPath) -> str:
    """A path as events tell it: below /sys."""
    return f"/{path.relative_to(SYS)}"
