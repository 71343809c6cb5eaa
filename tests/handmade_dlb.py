"""DLB functions made by hand, file by file; device files are regular ones unless a test can make others."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xpu_plugins.dlb.plugin import DlbPlugin
from xpu_plugins.dlb.settings import DlbSettings
from xpu_shared.device import ScanResult

PF_ADDRESS = "0000:7e:00.0"


@dataclass(frozen=True)
class HandmadeDlb:
    """A `sys` and a `dev`, so far without functions; class/dlb2 exists, as when the driver is loaded."""

    root: Path

    def __post_init__(self) -> None:
        for directory in ("sys/class/dlb2", "sys/devices/pci0000:7d", "dev"):
            (self.root / directory).mkdir(parents=True)

    @property
    def sysfs(self) -> Path:
        return self.root / "sys"

    @property
    def dev(self) -> Path:
        return self.root / "dev"

    def directory(self, address: str) -> Path:
        """Of a PCI function."""
        return self.sysfs / "devices/pci0000:7d/0000:7d:01.0" / address

    def function(
        self,
        number: int,
        address: str,
        *,
        attributes: Mapping[str, str | None] | None = None,
        file: bool = True,
    ) -> Path:
        """Add a bound function as dlb<number>; returns its directory.

        Args:
            attributes: of the function, instead of those of a function on node 1; None for one that is absent.
        """
        name, directory = f"dlb{number}", self.directory(address)
        (directory / "dlb2" / name).mkdir(parents=True)
        default = {"vendor": "0x8086", "numa_node": "1", "local_cpulist": "32-63"}
        for attribute, text in {**default, **(attributes or {})}.items():
            if text is not None:
                path = directory / attribute
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{text}\n")
        (directory / "dlb2" / name / "device").symlink_to("../..")
        (self.sysfs / "class/dlb2" / name).symlink_to(directory / "dlb2" / name)
        if file:
            (self.dev / name).touch()
        return directory

    def pf(self, number: int, address: str = PF_ADDRESS, *, vfs: str = "0", device: str = "0x2710") -> Path:
        return self.function(number, address, attributes={"sriov_numvfs": vfs, "device": device})

    def vf(self, number: int, address: str, *, of: str = PF_ADDRESS, index: int = 0, domains: str = "10") -> Path:
        """A virtual function of the physical function at `of`, which knows it as virtfn<index>."""
        attributes = {"device": "0x2711", "total_resources/num_sched_domains": domains}
        directory = self.function(number, address, attributes=attributes)
        (directory / "physfn").symlink_to(self.directory(of))
        (self.directory(of) / f"virtfn{index}").symlink_to(directory)
        (self.directory(of) / f"vf{index}_resources").mkdir()
        (self.directory(of) / f"vf{index}_resources/func_bar_en").write_text("1\n")
        return directory

    def device_file(self, number: int, major: int, minor: int) -> None:
        """Make the file of dlb<number> a real character device, which needs root."""
        path = self.dev / f"dlb{number}"
        path.unlink(missing_ok=True)
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(major, minor))

    def remove(self, number: int) -> None:
        """The driver lets go of dlb<number>."""
        (self.dev / f"dlb{number}").unlink()
        (self.sysfs / f"class/dlb2/dlb{number}").unlink()

    def settings(self, **choices: object) -> DlbSettings:
        roots: Mapping[str, object] = {"sysfs_root": self.sysfs, "dev_root": self.dev}
        return DlbSettings(**{**roots, **choices})  # type: ignore[arg-type]  # tests name any of its fields

    def scan(self, **choices: object) -> ScanResult:
        return DlbPlugin(self.settings(**choices)).scan()
