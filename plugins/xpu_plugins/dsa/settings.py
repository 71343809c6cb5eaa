"""What an administrator may choose; docs/dsa-iaa.md explains it."""

from dataclasses import dataclass
from typing import Annotated

from xpu_shared.idxd.settings import IdxdSettings
from xpu_shared.program.options import Boolean, Choice

DRIVERS = "What a DSA device is offered as"


@dataclass(frozen=True, slots=True, kw_only=True)
class DsaSettings(IdxdSettings):
    driver: Annotated[
        str,
        Choice(
            group=DRIVERS,
            values=("idxd", "vfio-pci"),
            out_of_range_exit=1,
            help="idxd offers work queues, vfio-pci whole devices that are bound to that driver",
        ),
    ] = "idxd"
    allow_shared_iommu_group: Annotated[
        bool,
        Boolean(
            group=DRIVERS, help="with vfio-pci, offer devices that share an IOMMU group, though one container has it"
        ),
    ] = False
