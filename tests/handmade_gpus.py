"""GPUs made by hand, file by file, for what a simulated node would never have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xpu_plugins.gpu.scan import scan
from xpu_plugins.gpu.settings import GpuSettings
from xpu_shared.device import Device, Problem, ScanResult


@dataclass(frozen=True)
class HandmadeGpus:
    """A `sys` and a `dev` with a class/drm, so far without cards; device files are regular ones."""

    root: Path

    def __post_init__(self) -> None:
        for directory in ("sys/class/drm", "sys/devices", "sys/bus/pci/drivers", "dev/dri/by-path"):
            (self.root / directory).mkdir(parents=True)

    @property
    def sysfs(self) -> Path:
        return self.root / "sys"

    @property
    def dev(self) -> Path:
        return self.root / "dev"

    @property
    def drm(self) -> Path:
        return self.root / "sys/class/drm"

    def card(
        self,
        name: str = "card0",
        *,
        path: str = "pci0000:00/0000:00:02.0",
        attributes: Mapping[str, str | None] | None = None,
        driver: str = "i915",
        files: Sequence[str] | None = None,
    ) -> Path:
        """Add a card below `devices/<path>`; returns its PCI function's directory.

        Args:
            attributes: of the function, instead of those of a Flex 170 on node 0; None for one that is absent.
            files: entries of device/drm and in /dev/dri; by default the card and a render node of the same number.
        """
        device = self.sysfs / "devices" / path
        default = {"vendor": "0x8086", "device": "0x56c0", "numa_node": "0", "local_cpulist": "0-15"}
        names = (name, f"renderD{128 + int(name[4:])}") if files is None else files
        for entry in {name, *names}:
            (device / "drm" / entry).mkdir(parents=True)
        for attribute, text in {**default, **(attributes or {})}.items():
            if text is not None:
                (device / attribute).write_text(f"{text}\n")
        (device / "driver").symlink_to(self.sysfs / "bus/pci/drivers" / driver)
        (device / "drm" / name / "device").symlink_to("../..")
        (self.drm / name).symlink_to(f"../../devices/{path}/drm/{name}")
        for entry in names:
            (self.dev / "dri" / entry).touch()
        return device

    def link(self, name: str, target: str) -> Path:
        """Add an entry to by-path."""
        link = self.dev / "dri/by-path" / name
        link.symlink_to(target)
        return link

    def settings(self, **choices: object) -> GpuSettings:
        roots: Mapping[str, object] = {"sysfs_root": self.sysfs, "dev_root": self.dev, "host_dev_root": Path("/dev")}
        return GpuSettings(**{**roots, **choices})  # type: ignore[arg-type]  # tests name any of its fields

    def scan(self, **choices: object) -> ScanResult:
        return scan(self.settings(**choices))


def ids(result: ScanResult) -> dict[str, list[str]]:
    """The ids of each device type."""
    return {device_type: [device.id for device in devices] for device_type, devices in result.devices.items()}


def only(result: ScanResult) -> Device:
    """The one device of a scan."""
    ((device,),) = result.devices.values()
    return device


def container_paths(device: Device) -> list[str]:
    return [node.container_path for node in device.nodes]


def mounts(device: Device) -> list[str]:
    """Names of its by-path mounts."""
    return [Path(mount.container_path).name for mount in device.mounts]


def told(result: ScanResult) -> list[tuple[str, str]]:
    """Subject and text of the problems that an administrator is told of."""
    return [(problem.subject, problem.text) for problem in result.problems if not problem.expected]


def rejection(result: ScanResult, card: str = "card0") -> Problem:
    """Why a card is not offered."""
    (problem,) = (problem for problem in result.problems if problem.subject == card and problem.rejected)
    return problem
