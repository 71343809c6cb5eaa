"""The table of families: a node's description has a key for each. A family is added by its line in it."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field

from xpu_simulator.device import SimulatedDevice
from xpu_simulator.families.dlb.device import DlbDevices
from xpu_simulator.families.gpu.device import Gpus
from xpu_simulator.families.idxd.device import DsaDevices, IaaDevices
from xpu_simulator.families.npu.device import Npus
from xpu_simulator.families.sgx.device import Sgx


class Families(BaseModel):
    """The devices of a node by family: a list, or for a family of which a node has at most one, that one or None."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gpus: Gpus = Field(default_factory=list)
    dsa: DsaDevices = Field(default_factory=list)
    iaa: IaaDevices = Field(default_factory=list)
    dlb: DlbDevices = Field(default_factory=list)
    sgx: Sgx | None = None
    npus: Npus = Field(default_factory=list)

    def placed(self) -> Iterator[tuple[str, SimulatedDevice]]:
        """Every device with its place in the description, such as `gpus.0`."""
        for family, devices in self:
            if family not in Families.model_fields:
                continue
            if isinstance(devices, list):
                yield from ((f"{family}.{number}", device) for number, device in enumerate(devices))
            elif devices is not None:
                yield family, devices
