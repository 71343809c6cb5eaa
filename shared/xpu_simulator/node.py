"""A node as its owner describes it: which devices it has and how they are wired, in one YAML file.

Values only: what a device is described with and looks like is said in its family's package in `families/`.
"""

from collections.abc import Sequence
from typing import Annotated, Self, TypeVar

from pydantic import Field, model_validator

from xpu_simulator.device import Claim, SimulatedDevice
from xpu_simulator.fabric.description import Fabric, Joint, joints
from xpu_simulator.families.gpu.device import Gpu
from xpu_simulator.families.table import Families

__all__ = ["Gpu", "Node"]

Device = TypeVar("Device", bound=SimulatedDevice)


class Node(Families):
    """A whole node."""

    fabric: Fabric | None = None  # what joins the GPUs
    cpus_per_numa_node: Annotated[int, Field(strict=True, ge=1, le=4096)] = 16

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.model_fields_set.intersection(Families.model_fields):
            raise ValueError(f"expected devices: one of the keys {', '.join(Families.model_fields)}")
        return self

    @model_validator(mode="after")
    def _no_duplicates(self) -> Self:
        owners: dict[tuple[str, object], str] = {}
        for place, device in self.placed():
            for claim in (*device.claims(), Claim("name", device.name)):
                owner = f"{claim.part} of {place}" if claim.part else place
                earlier = owners.setdefault((claim.key, claim.value), owner)
                if earlier != owner:
                    raise ValueError(f"{claim.key} {claim.value} is that of {earlier} and of {owner}")
        return self

    @model_validator(mode="after")
    def _fabric_of_its_gpus(self) -> Self:
        _ = self.joints
        return self

    @property
    def joints(self) -> Sequence[Joint]:
        """The links of the fabric."""
        return joints(self.fabric, self.gpus) if self.fabric is not None else []

    @property
    def devices(self) -> Sequence[SimulatedDevice]:
        """All of them, family by family."""
        return [device for _, device in self.placed()]

    def gpu(self, name: str) -> Gpu:
        """The GPU of that name; KeyError with the names there are."""
        return _named(name, self.gpus, kind="GPU")

    def device(self, name: str) -> SimulatedDevice:
        """The device of that name; KeyError with the names there are."""
        return _named(name, self.devices, kind="device")


def _named(name: str, devices: Sequence[Device], *, kind: str) -> Device:
    for device in devices:
        if device.name == name:
            return device
    names = ", ".join(device.name for device in devices)
    raise KeyError(f"no {kind} {name!r}; " + (f"there are {names}" if names else "the node has none"))
