"""What an administrator may choose."""

from dataclasses import dataclass
from pathlib import Path

from xpu_shared.program.settings import PluginSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSettings(PluginSettings):
    prefix: str = ""
    enable_monitoring: bool = False
    monitoring_mode: str = "single"
    shared_dev_num: int = 1
    allocation_policy: str = "none"
    bypath: str = "single"
    allow_ids: tuple[str, ...] = ()
    deny_ids: tuple[str, ...] = ()
