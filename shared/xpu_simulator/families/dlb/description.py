"""A Dynamic Load Balancer as its owner describes it. Without a word it is a physical function of DLB 2.0."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from xpu_simulator.fields import Name, NumaNode, PciAddress
from xpu_simulator.pci import following_address

LAST_NUMBER = 255
TOTAL_VFS = 16
# The buses of a two-socket Xeon's eight load balancers.
BUSES = ("6d", "72", "77", "7c", "ea", "ef", "f4", "f9")


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    physical: int  # the PCI id of a physical function
    virtual: int
    resources: Mapping[str, int]  # of a whole device, by the names of the driver's attributes


def _resources(*, dir_ports: int, ldb_credits: int, dir_credits: int) -> dict[str, int]:
    return {
        "num_sched_domains": 32,
        "num_ldb_queues": 32,
        "num_ldb_ports": 64,
        "num_dir_ports": dir_ports,
        "num_ldb_credits": ldb_credits,
        "num_dir_credits": dir_credits,
        "num_hist_list_entries": 2048,
        "num_atomic_inflights": 2048,
        "num_sn0_slots": 16,
        "num_sn1_slots": 16,
    }


GENERATIONS = {
    "2.0": Generation(
        physical=0x2710,
        virtual=0x2711,
        resources=_resources(dir_ports=64, ldb_credits=8192, dir_credits=4096),
    ),
    "2.5": Generation(
        physical=0x2714,
        virtual=0x2715,
        resources=_resources(dir_ports=96, ldb_credits=16384, dir_credits=0),
    ),
}


def _address(data: dict[str, Any]) -> str:
    domain, position = divmod(data["number"], len(BUSES))
    return f"{domain:04x}:{BUSES[position]}:00.0"


class DlbDescription(BaseModel):
    """One function of a load balancer, with its virtual functions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: Annotated[int, Field(strict=True, ge=0, le=LAST_NUMBER)] = 0  # of /dev/dlb0; virtual functions follow
    name: Name = Field(default_factory=lambda data: f"dlb{data['number']}")  # what scenarios call it
    generation: Literal["2.0", "2.5"] = "2.0"
    driver: Literal["dlb2", "vfio-pci"] = "dlb2"
    numa_node: NumaNode = -1
    pci_address: PciAddress = Field(default_factory=_address)
    virtual: StrictBool = False  # a virtual function without its physical one, as a virtual machine sees it
    vfs: Annotated[int, Field(strict=True, ge=0, le=TOTAL_VFS)] | None = 0  # None: it has no SR-IOV
    assigned: StrictBool = True  # its virtual functions own equal shares of it; or they own nothing
    resources: dict[str, Annotated[int, Field(strict=True, ge=0, lt=2**31)]] = Field(
        default_factory=lambda data: dict(GENERATIONS[data["generation"]].resources)
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.virtual and self.vfs:
            raise ValueError("a virtual function has no virtual functions")
        unknown = self.resources.keys() - GENERATIONS[self.generation].resources.keys()
        if unknown:
            known = ", ".join(GENERATIONS[self.generation].resources)
            raise ValueError(f"resources: {min(unknown)} is none of {known}")
        if self.number + (self.vfs or 0) > LAST_NUMBER:
            raise ValueError(f"number {self.number} with {self.vfs} virtual functions: numbers end at {LAST_NUMBER}")
        following_address(self.pci_address, self.vfs or 0)
        return self

    @property
    def pci_id(self) -> int:
        generation = GENERATIONS[self.generation]
        return generation.virtual if self.virtual else generation.physical

    @property
    def share(self) -> dict[str, int]:
        """What each of its virtual functions owns."""
        vfs = self.vfs or 1
        return {name: total // vfs if self.assigned else 0 for name, total in self.resources.items()}


def last_number(entry: object, free: int) -> int:
    """The highest number of an entry that is not yet checked: its virtual functions have numbers too."""
    if isinstance(entry, DlbDescription):
        return entry.number + (entry.vfs or 0)
    number, vfs = (entry.get("number"), entry.get("vfs") or 0) if isinstance(entry, Mapping) else (free, 0)
    return number + vfs if isinstance(number, int) and isinstance(vfs, int) else free
