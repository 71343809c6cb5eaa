"""What an administrator may choose; docs/provisioning.md explains it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from xpu_plugins.sgx.epc.sources import SOURCES
from xpu_shared.program.options import Boolean, FilePath, Option
from xpu_shared.program.settings import PATHS

OUTPUT = "Where the size is told"


@dataclass(frozen=True, kw_only=True)
class Sources(Option[tuple[str, ...]]):
    repeatable: ClassVar[bool] = True

    @property
    def allowed(self) -> str:
        return " or ".join(SOURCES)

    @property
    def placeholder(self) -> str:
        return "|".join(SOURCES)

    def parse(self, text: str) -> tuple[str, ...]:
        if text not in SOURCES:
            raise self.refusal()
        return (text,)

    def show(self, value: tuple[str, ...]) -> str:
        return ", ".join(value)


@dataclass(frozen=True, kw_only=True)
class EpcSettings:
    register: Annotated[
        bool,
        Boolean(group=OUTPUT, help="patch the node's capacity sgx.intel.com/epc, and print nothing"),
    ] = False
    node_label: Annotated[
        bool, Boolean(group=OUTPUT, help="label the node sgx.intel.com/capable=true when it has EPC")
    ] = False
    features_dir: Annotated[
        Path | None, FilePath(group=OUTPUT, help="NFD's features.d: also write a file with sgx.intel.com/epc there")
    ] = None
    report: Annotated[bool, Boolean(group=OUTPUT, help="also print the sections as JSON on standard error")] = False
    affirm: Annotated[bool, Boolean(help="end with 1 when there is no EPC")] = False
    daemon: Annotated[
        bool,
        Boolean(
            help="stay until SIGTERM, look again once a minute, and repair what others change on the node's object"
        ),
    ] = False
    watch: Annotated[bool, Boolean(help="the same as -daemon, by the name that other provisioners have for it")] = False
    cpuid_source: Annotated[
        tuple[str, ...],
        Sources(help="where the size is read: executing CPUID, the kernel's device file, or what the kernel manages"),
    ] = SOURCES
    sysfs_root: Annotated[Path, FilePath(group=PATHS, help="where sysfs is mounted")] = Path("/sys")
    dev_root: Annotated[Path, FilePath(group=PATHS, help="where device files are looked for")] = Path("/dev")
