"""A sysfs and a /dev that programs can be pointed at: `root/sys` and `root/dev`.

It writes entries, in the order in which kernel and udev do, and takes them away again; what a device consists of is
said by its family's package in `families/`. Nothing is written outside the root.
"""

import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from xpu_simulator.device import SimulatedDevice
from xpu_simulator.entries import Attribute, CharacterDevice, Directory, Entry, Link
from xpu_simulator.families.gpu.device import Gpu

Device = TypeVar("Device", bound=SimulatedDevice)
NULL_DEVICE = os.makedev(1, 3)  # opening it does no harm, and a container's device rules allow it


class SimulatedTree:
    """The trees of one node.

    `device_nodes` says whether files in /dev are real character devices, which needs root, or regular files; without
    it they are what is possible here.
    """

    def __init__(self, root: Path, *, device_nodes: bool | None = None, cpus_per_numa_node: int = 16) -> None:
        self.root = root
        self.sysfs = root / "sys"
        self.dev = root / "dev"
        self.cpus_per_numa_node = cpus_per_numa_node
        for directory in ("sys/class/drm", "sys/devices", "sys/bus/pci/devices", "sys/bus/pci/drivers", "dev"):
            (root / directory).mkdir(parents=True, exist_ok=True)
        self.device_nodes = can_make_devices(self.dev) if device_nodes is None else device_nodes

    def add(self, device: SimulatedDevice, *, udev: bool = True) -> None:
        """A device appears. Without `udev` it is as the kernel leaves it, before udev has seen it."""
        self.write(device.on_bus(cpus_per_numa_node=self.cpus_per_numa_node))
        for part in device.parts:
            self.bind(part, udev=udev)

    def remove(self, device: SimulatedDevice) -> None:
        """A device disappears, its last part first."""
        for part in reversed(device.parts):
            self.unbind(part)
        self.erase(device.on_bus(cpus_per_numa_node=self.cpus_per_numa_node))

    def bind(self, device: SimulatedDevice, *, udev: bool = True) -> None:
        """The driver of a device that is on its bus takes it."""
        self.write(device.driven())
        if udev:
            self.write(device.udev_links())

    def unbind(self, device: SimulatedDevice) -> None:
        """The driver of a device gives it up: all that it has added goes, and udev's links."""
        self.erase(device.driven())
        self.erase(device.udev_links())

    def rebind(self, device: Device, driver: str) -> Device:
        """Give a device to another driver; the answer is the device as it is now."""
        self.unbind(device)
        rebound = device.rebound(driver)
        self.bind(rebound)
        return rebound

    def add_udev_links(self, device: SimulatedDevice) -> None:
        """What udev does after the kernel's events."""
        for part in device.parts:
            self.write(part.udev_links())

    def add_gpu(self, gpu: Gpu, *, by_path: bool = True) -> None:
        """`add`, where udev's links are those in by-path."""
        self.add(gpu, udev=by_path)

    def remove_gpu(self, gpu: Gpu) -> None:
        self.remove(gpu)

    def add_by_path_links(self, gpu: Gpu) -> None:
        self.add_udev_links(gpu)

    def write(self, entries: Iterable[Entry]) -> None:
        """Write entries in their order; one that is there already is an error, as for a device added twice."""
        for entry in entries:
            path = self._place(entry)
            try:
                self._write(entry, path)
            except OSError as error:
                error.filename = error.filename or str(path)  # that of a full disk does not name the file
                raise

    def _write(self, entry: Entry, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        match entry:
            case Directory():
                path.mkdir()
            case Attribute():
                path.write_text(f"{entry.text}\n")
            case Link():
                path.symlink_to(os.path.relpath(self.root / entry.target, path.parent))
            case CharacterDevice():
                self._make_device(path, entry.number)

    def erase(self, entries: Iterable[Entry]) -> None:
        """Take entries away, the last one first; what is gone already is no error."""
        for entry in reversed(list(entries)):
            path = self._place(entry)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            if path.is_relative_to(self.dev):
                self._remove_empty_parents(path)

    def _place(self, entry: Entry) -> Path:
        if entry.path.is_absolute() or ".." in entry.path.parts:
            raise ValueError(f"{entry.path} is not below the simulated root")
        return self.root / entry.path

    def _make_device(self, path: Path, number: str | None) -> None:
        if self.device_nodes:
            device = os.makedev(*map(int, number.split(":"))) if number else NULL_DEVICE
            os.mknod(path, stat.S_IFCHR | 0o666, device)
        else:
            path.touch(exist_ok=False)

    def _remove_empty_parents(self, path: Path) -> None:
        """With the last device the kernel removes the directory it made in /dev, and udev its own."""
        for parent in path.parents:
            if parent == self.dev or any(parent.iterdir()):
                return
            parent.rmdir()


def can_make_devices(directory: Path) -> bool:
    """Whether this process may make device nodes there."""
    probe = directory / ".probe"
    try:
        os.mknod(probe, stat.S_IFCHR, NULL_DEVICE)
    except PermissionError:  # not root, or root in a container without CAP_MKNOD
        return False
    probe.unlink()
    return True
