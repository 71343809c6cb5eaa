"""idxd devices and work queues made by hand, file by file; files in /dev are regular ones unless asked for."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from xpu_shared.device import Device, ScanResult
from xpu_shared.idxd.accelerator import DSA, Accelerator
from xpu_shared.idxd.plugin import IdxdPlugin, idxd_plugin
from xpu_shared.idxd.queues import Memory
from xpu_shared.idxd.scan import Look
from xpu_shared.idxd.settings import IdxdSettings


@dataclass(frozen=True)
class HandmadeIdxd:
    """A `sys` with a bus dsa and a `dev`, so far without devices."""

    root: Path
    real: bool = False  # whether files in /dev are character devices, which needs root

    def __post_init__(self) -> None:
        for directory in ("sys/bus/dsa/devices", "sys/devices", "dev/char"):
            (self.root / directory).mkdir(parents=True)

    @property
    def sysfs(self) -> Path:
        return self.root / "sys"

    @property
    def dev(self) -> Path:
        return self.root / "dev"

    def device(
        self, name: str, *, bdf: str = "0000:6a:01.0", attributes: Mapping[str, str | None] | None = None
    ) -> Path:
        """Add a device below its PCI function; returns its directory.

        Args:
            attributes: besides or instead of those of an enabled device on node 1; None for one that is absent.
        """
        function = self.sysfs / "devices" / f"pci{bdf[:7]}" / bdf
        directory = function / name
        directory.mkdir(parents=True)
        (function / "numa_node").write_text("1\n")
        (function / "local_cpulist").write_text("56-111,168-223\n")
        values: Mapping[str, str | None] = {"state": "enabled", "numa_node": "1", "clients": "0", "cdev_major": "511"}
        write(directory, {**values, **(attributes or {})})
        (self.sysfs / "bus/dsa/devices" / name).symlink_to(f"../../../devices/pci{bdf[:7]}/{bdf}/{name}")
        return directory

    def queue(
        self,
        device: Path,
        name: str,
        *,
        minor: int = 4,
        attributes: Mapping[str, str | None] | None = None,
        file: bool = True,
        link: bool = True,
    ) -> Path:
        """Add a queue, enabled, dedicated, of type user and named `app`; returns its directory.

        Args:
            minor: of the number 511:minor of its character device.
            attributes: as for `device`.
            file, link: whether there is its file, and udev's link to it.
        """
        queue = device / name
        queue.mkdir()
        values: Mapping[str, str | None] = {"state": "enabled", "mode": "dedicated", "type": "user", "name": "app"}
        write(queue, {**values, **(attributes or {})})
        kind = device.name.rstrip("0123456789")
        node = queue / f"{kind}!{name}"
        node.mkdir()
        (node / "dev").write_text(f"511:{minor}\n")
        if file:
            self.file(f"{kind}/{name}", minor=minor)
        if link:
            self.link(f"511:{minor}", f"../{kind}/{name}")
        return queue

    def file(self, name: str, *, minor: int = 4) -> Path:
        """Add a queue's file."""
        path = self.dev / name
        path.parent.mkdir(exist_ok=True)
        if self.real:
            os.mknod(path, 0o600 | 0o020000, os.makedev(511, minor))
        else:
            path.touch()
        return path

    def link(self, number: str, target: str) -> Path:
        path = self.dev / "char" / number
        path.symlink_to(target)
        return path

    def settings(self, **choices: object) -> IdxdSettings:
        roots: Mapping[str, object] = {"sysfs_root": self.sysfs, "dev_root": self.dev}
        return IdxdSettings(**{**roots, **choices})  # type: ignore[arg-type]  # tests name any of its fields

    def look(
        self, accelerator: Accelerator = DSA, *, before: Memory | None = None, later: float = 60.0, **choices: object
    ) -> Look:
        """Look at everything, so many seconds from now."""
        look = Look(
            accelerator=accelerator,
            settings=self.settings(**choices),
            before=before or Memory(),
            monotonic=later,
            wall=time.time() + later,
        )
        look.all_devices()
        return look

    def plugin(self, accelerator: Accelerator = DSA, **choices: object) -> IdxdPlugin:
        return idxd_plugin(accelerator, self.settings(**choices))

    def scan(self, accelerator: Accelerator = DSA, **choices: object) -> ScanResult:
        """A minute from now: udev has had the time it needs."""
        return self.look(accelerator, **choices).result  # type: ignore[arg-type]  # tests name any of the settings


def write(directory: Path, values: Mapping[str, str | None]) -> None:
    """Write attributes as the kernel does, with a newline; None leaves one out."""
    for name, text in values.items():
        if text is not None:
            (directory / name).write_text(f"{text}\n")


def paths(device: Device) -> list[str]:
    return [node.container_path for node in device.nodes]
