"""The NPU plugin as the framework runs it."""

from collections.abc import Sequence
from pathlib import Path

from xpu_plugins.npu.scan import CDI_KIND, scan
from xpu_plugins.npu.settings import NpuSettings
from xpu_shared.device import ScanResult


class NpuPlugin:
    namespace = "npu.intel.com"
    subsystems = frozenset({"accel", "pci"})
    cdi_kinds = (CDI_KIND,)

    def __init__(self, settings: NpuSettings) -> None:
        self._settings = settings

    @property
    def watched_directories(self) -> Sequence[Path]:
        return (self._settings.dev_root / "accel",)

    def scan(self) -> ScanResult:
        return scan(self._settings)
