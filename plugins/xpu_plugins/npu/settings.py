"""What an administrator may choose; docs/npu.md explains it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from xpu_shared.program.options import Boolean, Duration, Integer, Option
from xpu_shared.program.pci_ids import PciIds, refuse_both
from xpu_shared.program.settings import PATHS, FamilySettings, Loaded

NPUS = "Which NPUs are offered, and how"
MOST_SHARED = 1000


@dataclass(frozen=True, kw_only=True)
class Prefix(Option[str]):
    """A directory that stands for the root; empty for none."""

    @property
    def allowed(self) -> str:
        return "the absolute path of a directory"

    @property
    def placeholder(self) -> str:
        return "path"

    def parse(self, text: str) -> str:
        if text and ("\0" in text or not text.startswith("/") or not Path(text).is_dir()):
            raise self.refusal()
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class NpuSettings(FamilySettings):
    prefix: Annotated[
        str, Prefix(group=PATHS, help="look in PREFIX/sys and PREFIX/dev; --sysfs-root and --dev-root win over it")
    ] = ""
    shared_dev_num: Annotated[
        int,
        Integer(
            group=NPUS,
            minimum=1,
            maximum=MOST_SHARED,
            out_of_range_exit=1,
            help="how many containers may share an NPU",
        ),
    ] = 1
    allow_ids: Annotated[tuple[str, ...], PciIds(group=NPUS, help="offer only NPUs with these PCI ids")] = ()
    deny_ids: Annotated[tuple[str, ...], PciIds(group=NPUS, help="offer no NPUs with these PCI ids")] = ()
    cdi: Annotated[bool, Boolean(group=NPUS, help="also describe each NPU to container runtimes, in a CDI file")] = (
        False
    )

    reset_hold_off: Annotated[
        float,
        Duration(group=NPUS, help="how long an NPU is Unhealthy after its driver had to reset it; 0s: not at all"),
    ] = 60.0

    def __post_init__(self) -> None:
        refuse_both(self.allow_ids, self.deny_ids)


def below_prefix(loaded: Loaded[NpuSettings]) -> NpuSettings:
    """The settings with the roots that `--prefix` stands for, but for those that were given themselves.

    Host paths stay what they are: where this program looks is not where the container runtime looks.
    """
    prefix = loaded.settings.prefix
    if not prefix:
        return loaded.settings
    roots = {
        name: Path(f"{prefix.rstrip('/')}/{path}")
        for name, path in (("sysfs_root", "sys"), ("dev_root", "dev"))
        if name not in loaded.given
    }
    return replace(loaded.settings, **roots)  # type: ignore[arg-type]  # all are paths
