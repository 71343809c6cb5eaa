"""How the parent tells its child what to do: the child's command line. Imports nothing of what the child needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from xpu_shared.telemetry.kinds import Group, Mode

DEFAULT_LIBRARY = "libze_loader.so.1"  # by its soname: the dynamic linker knows where it is
LEGACY_NEEDED = 3  # exit code: start again, the legacy way


@dataclass(frozen=True, slots=True)
class Caution:
    """What is to be done about a driver that crashes."""

    one_by_one: bool = False  # one device after the other, each told before its round, so that the culprit is known
    without: tuple[str, ...] = ()  # devices that are left alone: PCI addresses, or `device N` of those that have none


NO_CAUTION = Caution()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The child's command line; only its parent writes it."""

    parent: int  # process id
    pipe: int  # descriptor that reports are written to
    library: str
    mode: Mode
    interval: float  # seconds between rounds
    hang_after: float  # seconds after which a call hangs
    groups: tuple[Group, ...] = ()  # what is sampled; empty: everything but the fabric
    caution: Caution = NO_CAUTION

    def texts(self) -> list[str]:
        numbers = [str(number) for number in (self.interval, self.hang_after, int(self.caution.one_by_one))]
        return [
            str(self.parent),
            str(self.pipe),
            self.library,
            self.mode,
            *numbers,
            ",".join(self.groups),
            *self.caution.without,
        ]


def arguments_of(texts: Sequence[str]) -> Arguments:
    parent, pipe, library, mode, interval, hang_after, one_by_one, groups, *without = texts
    return Arguments(
        parent=int(parent),
        pipe=int(pipe),
        library=library,
        mode=Mode(mode),
        interval=float(interval),
        hang_after=float(hang_after),
        groups=tuple(map(Group, groups.split(",") if groups else ())),
        caution=Caution(one_by_one=bool(int(one_by_one)), without=tuple(without)),
    )
