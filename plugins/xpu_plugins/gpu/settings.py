"""What an administrator may choose; docs/gpu.md explains it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from xpu_plugins.gpu.health_settings import FABRIC, HealthSettings, completed_health
from xpu_shared.policy.sharing import POLICIES
from xpu_shared.program.options import Boolean, Choice, Integer, Text
from xpu_shared.program.pci_ids import PciIds, refuse_both
from xpu_shared.program.settings import PATHS, Loaded

GPUS = "Which GPUs are offered, and how"
TOPOLOGY = "topology"  # the policy that knows links
MOST_SHARED = 1024  # per card: 64 cards with 1024 ids each still fit the 4 MiB that a kubelet takes


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSettings(HealthSettings):
    prefix: Annotated[str, Text(group=PATHS, help="look in PREFIX/sys and PREFIX/dev; the roots' own flags win")] = ""
    shared_dev_num: Annotated[
        int, Integer(group=GPUS, minimum=1, maximum=MOST_SHARED, help="how many containers may share a GPU")
    ] = 1
    allocation_policy: Annotated[
        str,
        Choice(
            group=GPUS,
            values=(*POLICIES, TOPOLOGY),
            help="which of shared GPUs a container gets: none gives it different ones, balanced the least used ones, "
            "packed the most used ones; topology gives it different ones with the best links between them",
        ),
    ] = "none"
    allow_ids: Annotated[tuple[str, ...], PciIds(group=GPUS, help="offer only GPUs with these PCI ids")] = ()
    deny_ids: Annotated[tuple[str, ...], PciIds(group=GPUS, help="offer no GPUs with these PCI ids")] = ()
    bypath: Annotated[
        str,
        Choice(
            group=GPUS,
            values=("single", "none", "all"),
            help="what a container gets of /dev/dri/by-path: single gives its own GPUs' links, none nothing, all the "
            "whole directory",
        ),
    ] = "single"
    enable_monitoring: Annotated[
        bool, Boolean(group=GPUS, help="also offer the files of all GPUs as one resource, for monitoring")
    ] = False
    monitoring_mode: Annotated[
        str,
        Choice(
            group=GPUS,
            values=("single", "split"),
            help="single is one monitoring resource, split one for each of i915 and xe",
        ),
    ] = "single"

    def __post_init__(self) -> None:
        refuse_both(self.allow_ids, self.deny_ids)
        if self.wsl and self.enable_monitoring:
            raise ValueError("--wsl and --enable-monitoring: there is no monitoring within WSL")
        if self.wsl and self.allocation_policy == TOPOLOGY:
            raise ValueError(f"--wsl and --allocation-policy={TOPOLOGY}: there are no links within WSL")
        self.check_health()

    @property
    def fabric_endpoints(self) -> tuple[str, ...]:
        """Where a sidecar publishes how the GPUs are linked, as far as anybody asks."""
        return (self.telemetry or FABRIC) if self.allocation_policy == TOPOLOGY else ()


def completed(loaded: Loaded[GpuSettings]) -> GpuSettings:
    """The settings with what follows from those that were given."""
    return completed_health(below_prefix(loaded), loaded.given)


def below_prefix(loaded: Loaded[GpuSettings]) -> GpuSettings:
    """The settings with the roots that `--prefix` stands for, but for those that were given themselves."""
    prefix = loaded.settings.prefix
    directories = {"sysfs_root": "sys", "dev_root": "dev", "host_dev_root": "dev"}
    roots = {
        name: Path(f"{prefix.rstrip('/')}/{path}") for name, path in directories.items() if name not in loaded.given
    }
    return replace(loaded.settings, **roots) if prefix else loaded.settings  # type: ignore[arg-type]  # all are paths
