"""Temporary: replaced by the helper's version."""
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSettings:
    sysfs_root: Path = Path("/sys")
    dev_root: Path = Path("/dev")
    host_dev_root: Path = Path("/dev")
    kubelet_dir: Path = Path("/var/lib/kubelet")
    cdi_dir: Path = Path("/var/run/cdi")
    rescan_interval: float = 60.0
    lost_device_retention: float = 600.0
    uevent_socket: Path | None = None
    metrics_address: object = None
    log_format: str = "text"
    v: int = 0
