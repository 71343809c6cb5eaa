"""NPUs made by hand, file by file; device files are regular ones."""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from xpu_plugins.npu.plugin import NpuPlugin
from xpu_plugins.npu.settings import NpuSettings
from xpu_shared.device import ScanResult


@dataclass(frozen=True)
class HandmadeNpus:
    """A `sys` and a `dev` with a class/accel, so far without accelerators."""

    root: Path

    def __post_init__(self) -> None:
        for directory in ("sys/class/accel", "sys/devices/pci0000:00", "sys/bus/pci/drivers", "dev/accel"):
            (self.root / directory).mkdir(parents=True)

    @property
    def sysfs(self) -> Path:
        return self.root / "sys"

    @property
    def dev(self) -> Path:
        return self.root / "dev"

    @property
    def accel(self) -> Path:
        return self.sysfs / "class/accel"

    def function(self, name: str) -> Path:
        """The directory of its PCI function."""
        return self.sysfs / "devices/pci0000:00" / f"0000:00:{int(name.removeprefix('accel')) + 11:02x}.0"

    def add(
        self,
        name: str = "accel0",
        *,
        attributes: Mapping[str, str | None] | None = None,
        driver: str | None = "intel_vpu",
        file: bool = True,
    ) -> Path:
        """Add an accelerator; returns its PCI function's directory.

        Args:
            attributes: of the function, instead of those of a Lunar Lake's NPU; None for one that is absent.
        """
        device = self.function(name)
        (device / "accel" / name).mkdir(parents=True)
        default = {"vendor": "0x8086", "device": "0x643e", "numa_node": "-1", "local_cpulist": "0-13"}
        for attribute, text in {**default, **(attributes or {})}.items():
            if text is not None:
                (device / attribute).write_text(f"{text}\n")
        if driver is not None:
            (device / "driver").symlink_to(self.sysfs / "bus/pci/drivers" / driver)
        (device / "accel" / name / "device").symlink_to("../..")
        (self.accel / name).symlink_to(device / "accel" / name)
        if file:
            (self.dev / "accel").mkdir(exist_ok=True)
            (self.dev / "accel" / name).touch()
        return device

    def remove(self, name: str) -> None:
        (self.dev / "accel" / name).unlink()
        (self.accel / name).unlink()
        shutil.rmtree(self.function(name))

    def settings(self, **choices: object) -> NpuSettings:
        roots: Mapping[str, object] = {"sysfs_root": self.sysfs, "dev_root": self.dev}
        return NpuSettings(**{**roots, **choices})  # type: ignore[arg-type]  # tests name any of its fields

    def plugin(self, *, clock: Callable[[], float] = time.monotonic, **choices: object) -> NpuPlugin:
        return NpuPlugin(self.settings(**choices), clock=clock)

    def scan(self, **choices: object) -> ScanResult:
        return NpuPlugin(self.settings(**choices)).scan()
