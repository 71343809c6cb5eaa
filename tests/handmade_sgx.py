"""A node with SGX made by hand: two files in /dev, and what sysfs says of its firmware."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xpu_plugins.sgx.plugin import SgxPlugin
from xpu_plugins.sgx.settings import SgxSettings

FILES = ("sgx_enclave", "sgx_provision")


@dataclass(frozen=True)
class HandmadeSgx:
    """A `sys` of a machine with EFI, and a `dev` with both files, which are regular ones."""

    root: Path

    def __post_init__(self) -> None:
        (self.root / "sys/firmware/efi/efivars").mkdir(parents=True)
        (self.root / "sys/firmware/acpi").mkdir()
        (self.root / "dev").mkdir()
        for name in FILES:
            (self.dev / name).touch()

    @property
    def sysfs(self) -> Path:
        return self.root / "sys"

    @property
    def dev(self) -> Path:
        return self.root / "dev"

    def settings(self, **choices: object) -> SgxSettings:
        roots: Mapping[str, object] = {"sysfs_root": self.sysfs, "dev_root": self.dev}
        return SgxSettings(**{**roots, **choices})  # type: ignore[arg-type]  # tests name any of its fields

    def plugin(self, *, pods_per_core: str = "", cpus: int = 4, **choices: object) -> SgxPlugin:
        return SgxPlugin(self.settings(**choices), pods_per_core=pods_per_core, cpus=cpus)


def make_device_files(dev: Path) -> None:
    """Real character devices, which needs root."""
    for name in FILES:
        (dev / name).unlink(missing_ok=True)
        os.mknod(dev / name, stat.S_IFCHR | 0o600, os.makedev(1, 3))
