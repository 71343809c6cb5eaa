"""The GPU plugin as the framework runs it."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xpu_plugins.gpu.card import DRIVERS, root_port
from xpu_plugins.gpu.scan import CDI_KIND, scan
from xpu_plugins.gpu.settings import TOPOLOGY, GpuSettings
from xpu_shared.device import Device, ScanResult
from xpu_shared.policy.sharing import POLICIES

if TYPE_CHECKING:
    from xpu_plugins.gpu.fabric import GpuFabric
    from xpu_shared.policy.topology import Place


class GpuPlugin:
    namespace = "gpu.intel.com"
    subsystems = frozenset({"drm", "mei", "pci"})
    cdi_kinds = (CDI_KIND,)

    def __init__(self, settings: GpuSettings) -> None:
        self._settings = settings
        self._fabric = fabric() if settings.allocation_policy == TOPOLOGY else None
        self._drivers: dict[str, str] = {}  # by card; written by scans, of which there is one at a time

    @property
    def watched_directories(self) -> Sequence[Path]:
        dri = self._settings.dev_root / "dri"
        return (dri, dri / "by-path")

    def scan(self) -> ScanResult:
        result = scan(self._settings, self._drivers)
        offered = {
            device.cdi.name: type_ for type_ in DRIVERS for device in result.devices.get(type_, ()) if device.cdi
        }
        self._drivers = {**self._drivers, **offered}
        if self._fabric is not None:
            gpus = [device for type_ in DRIVERS for device in result.devices.get(type_, ())]
            self._fabric.scanned(self._places(gpus), addresses(gpus))
        return result

    def prefer(
        self, device_type: str, available: Sequence[str], must_include: Sequence[str], size: int
    ) -> Sequence[str]:
        """One policy for every device type: of a monitoring resource there is only one id to choose."""
        settings = self._settings
        policy = self._fabric.policy(time.monotonic()) if self._fabric else POLICIES[settings.allocation_policy]
        return policy(available, must_include, size)

    def details(self, device: Device) -> Mapping[str, str]:
        """For `discover`: where a GPU is, and what it is linked with."""
        if self._fabric is None or device.cdi is None:
            return {}
        card = device.cdi.name
        place, links = self._fabric.places.get(card), self._fabric.links_of(card, time.monotonic())
        return {
            "root port": (place and place.root_port) or "",
            "links": "not known" if links is None else " ".join(f"{other}:{lanes}" for other, lanes in links.items()),
        }

    @property
    def details_complete(self) -> bool:
        return self._fabric is None or self._fabric.told

    def _places(self, gpus: Sequence[Device]) -> "dict[str, Place]":
        from xpu_shared.policy.topology import Place  # noqa: PLC0415 - as below

        return {
            device.cdi.name: Place(
                numa_nodes=device.numa_nodes,
                root_port=root_port(f"{self._settings.sysfs_root}/class/drm/{device.cdi.name}"),
            )
            for device in one_of_each(gpus)
            if device.cdi
        }


def fabric() -> "GpuFabric":
    from xpu_plugins.gpu.fabric import GpuFabric  # noqa: PLC0415 - only where links matter

    return GpuFabric()


def one_of_each(gpus: Sequence[Device]) -> Sequence[Device]:
    """One id of each card."""
    return list({device.cdi.name: device for device in gpus if device.cdi}.values())


def addresses(gpus: Sequence[Device]) -> dict[str, str]:
    """The cards' addresses on the PCI bus, by card."""
    return {device.cdi.name: device.hardware for device in gpus if device.cdi and device.hardware}
