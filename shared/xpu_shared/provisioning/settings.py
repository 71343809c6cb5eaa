"""What every provisioner can be told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from xpu_shared.program.options import Boolean, Choice, FilePath, Integer
from xpu_shared.program.settings import OBSERVATION, PATHS

WORK = "How the provisioner works"
SYS = Path("/sys")


@dataclass(frozen=True, kw_only=True)
class ProvisioningSettings:
    """A provisioner's own settings inherit from it, add fields, and say what `on_busy` may be."""

    config: Annotated[
        Path | None, FilePath(group=WORK, help="the layout file: what is wished; docs/provisioning.md shows some")
    ] = None
    output: Annotated[
        str, Choice(group=WORK, values=("table", "json"), help="print the writes as a table or as JSON")
    ] = "table"
    plan: Annotated[bool, Boolean(group=WORK, help="the same as the command plan")] = False
    watch: Annotated[
        bool, Boolean(group=WORK, help="with apply: stay, and apply again when devices appear or change")
    ] = False
    lock_file: Annotated[
        Path | None,
        FilePath(
            group=PATHS, help="held while writes are made; by default in /run/xpu, or beside another --sysfs-root"
        ),
    ] = None
    sysfs_root: Annotated[Path, FilePath(group=PATHS, help="where sysfs is mounted")] = SYS
    dev_root: Annotated[Path, FilePath(group=PATHS, help="where device files are looked for")] = Path("/dev")
    uevent_socket: Annotated[
        Path | None,
        FilePath(group=PATHS, help="also take kernel events from this unix datagram socket, one event a datagram"),
    ] = None
    log_format: Annotated[str, Choice(group=OBSERVATION, values=("text", "json"), help="how log lines look")] = "text"
    v: Annotated[int, Integer(group=OBSERVATION, minimum=0, maximum=2**31 - 1, help="log verbosity, as klog's -v")] = 0

    def lock(self, program: str) -> Path:
        """The lock's file, of a program such as `idxd-provision`."""
        if self.lock_file is not None:
            return self.lock_file
        directory = Path("/run/xpu") if self.sysfs_root == SYS else self.sysfs_root.absolute().parent
        return directory / f"{program}.lock"

    @property
    def lock_directory(self) -> Path | None:
        """What is locked where the default file cannot be made. Of the host's sysfs all pods see the same directory."""
        return self.sysfs_root / "devices" if self.lock_file is None else None
