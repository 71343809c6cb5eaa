"""What an administrator may choose; docs/dlb.md explains it."""

from dataclasses import dataclass
from typing import Annotated

from xpu_shared.program.options import Boolean, Choice
from xpu_shared.program.settings import FamilySettings

OFFERED = "Which functions are offered, and under which ids"
CONTAINERS = "What containers are given"


@dataclass(frozen=True, slots=True, kw_only=True)
class DlbSettings(FamilySettings):
    classify: Annotated[
        str,
        Choice(
            group=OFFERED,
            values=("sriov", "pci-id"),
            help="what a physical function without SR-IOV is offered as: sriov as vf, pci-id as pf",
        ),
    ] = "sriov"
    pf_with_vfs: Annotated[
        str,
        Choice(
            group=OFFERED,
            values=("hide", "advertise"),
            help="whether a physical function that has virtual functions is offered with what it has left",
        ),
    ] = "hide"
    device_id: Annotated[
        str,
        Choice(
            group=OFFERED,
            values=("path", "bdf"),
            help="path names a device by its file, bdf by its PCI address, which stays when a function is bound anew",
        ),
    ] = "path"
    inject_env: Annotated[
        bool, Boolean(group=CONTAINERS, help="tell containers file, number, PCI address and NUMA node of each device")
    ] = False
    container_numbering: Annotated[
        str,
        Choice(
            group=CONTAINERS,
            values=("host", "dense"),
            help="host keeps the node's device numbers in containers, dense counts from 0 in each of them",
        ),
    ] = "host"
