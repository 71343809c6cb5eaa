"""The GPU plugin as the framework runs it."""

from collections.abc import Sequence
from pathlib import Path

from xpu_plugins.gpu.card import DRIVERS
from xpu_plugins.gpu.scan import CDI_KIND, scan
from xpu_plugins.gpu.settings import GpuSettings
from xpu_shared.device import ScanResult
from xpu_shared.policy.sharing import POLICIES


class GpuPlugin:
    namespace = "gpu.intel.com"
    subsystems = frozenset({"drm", "mei", "pci"})
    cdi_kinds = (CDI_KIND,)

    def __init__(self, settings: GpuSettings) -> None:
        self._settings = settings
        self._policy = POLICIES[settings.allocation_policy]
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
        return result

    def prefer(
        self, device_type: str, available: Sequence[str], must_include: Sequence[str], size: int
    ) -> Sequence[str]:
        """One policy for every device type: of a monitoring resource there is only one id to choose."""
        return self._policy(available, must_include, size)
