"""The configuration of the fake-device generator that Intel's plugins come with, and the node it means.

Its fields are matched whatever their case, unknown ones are ignored, and it is JSON there; here YAML will do as well.
`Driver`, `DeviceId` and `Devices` are additions. `fakedev.py` writes what that program writes.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_pascal

from xpu_simulator.families.gpu.description import LAST_CARD, MOST_TILES
from xpu_simulator.fields import PciId
from xpu_simulator.node import Node

MIB = 1024 * 1024
DG1 = 0x4905  # every generated card says that it is one
CONNECTION_CHARACTERS = frozenset("0123456789.-_")
LABEL = "xpumanager.intel.com/xe-links"
LONGEST_LABEL = 63  # characters of a label's value in Kubernetes


def _writable(capabilities: dict[str, str]) -> dict[str, str]:
    """Each is written as a line; the connections become labels."""
    for key, value in capabilities.items():
        if not (key + value).isprintable():
            raise ValueError(f"{key!r}: expected a text of one line, found {value!r}")
    connections = capabilities.get("connections", "")
    if not CONNECTION_CHARACTERS.issuperset(connections):
        raise ValueError(f"connections: expected pairs such as 0.0-1.0 joined by _, found {connections!r}")
    return capabilities


class Generator(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, alias_generator=to_pascal)

    info: str = ""
    dev_count: Annotated[int, Field(ge=1, le=128)]
    tiles_per_dev: Annotated[int, Field(ge=0, le=MOST_TILES)] = 0
    dev_mem_size: Annotated[int, Field(ge=0, lt=2**63, multiple_of=MIB)] = 0
    devs_per_node: Annotated[int, Field(ge=0)] = 0
    vfs_per_pf: Annotated[int, Field(ge=0, le=LAST_CARD)] = 0
    capabilities: Annotated[dict[str, str], AfterValidator(_writable)] = Field(default_factory=dict)
    driver: Literal["i915", "xe"] = "i915"
    device_id: PciId = DG1
    devices: list[dict[str, Any]] = Field(default_factory=list)  # keys of a node's GPU; `card` says which one

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.devs_per_node > self.dev_count:
            raise ValueError(f"DevsPerNode {self.devs_per_node}: expected at most DevCount, {self.dev_count}")
        if not self.vfs_per_pf:
            return self
        for name, value in (("TilesPerDev", self.tiles_per_dev), ("DevsPerNode", self.devs_per_node)):
            if value:
                raise ValueError(f"{name} {value}: expected 0 because of VfsPerPf {self.vfs_per_pf}")
        if self.dev_count % (self.vfs_per_pf + 1):
            raise ValueError(f"DevCount {self.dev_count}: expected a multiple of VfsPerPf + 1, {self.vfs_per_pf + 1}")
        return self

    def numa_node(self, device: int) -> int:
        return device // self.devs_per_node if self.devs_per_node else 0

    def is_physical_function(self, device: int) -> bool:
        """Whether virtual functions follow it."""
        return self.vfs_per_pf > 0 and device % (self.vfs_per_pf + 1) == 0

    def connections(self) -> str:
        """Which tiles are linked, each pair as `1.0-0.0`."""
        if self.capabilities.get("connection-topology") != "FULL":
            return self.capabilities.get("connections", "")
        tiles = [f"{device}.{tile}" for device in range(self.dev_count) for tile in range(self.tiles_per_dev)]
        return "_".join(f"{later}-{tile}" for number, tile in enumerate(tiles) for later in tiles[number + 1 :])

    def labels(self) -> Iterator[str]:
        """The connections as node labels; what is too long for one goes on in the next, behind a Z."""
        connections = self.connections()
        yield f"{LABEL}={connections[:LONGEST_LABEL]}"
        step = LONGEST_LABEL - len("Z")
        for number, start in enumerate(range(LONGEST_LABEL, len(connections), step), start=2):
            yield f"{LABEL}{number}=Z{connections[start : start + step]}"

    def node(self) -> Node:
        """The node it means, with virtual functions as such and everything else that real cards have."""
        gpus = {card: self._gpu(card) for card in range(0, self.dev_count, self.vfs_per_pf + 1)}
        for changes in self.devices:
            card = changes.get("card")
            if not isinstance(card, int) or card not in gpus:
                raise ValueError(f"Devices: card {card!r}: expected one of {', '.join(map(str, gpus))}")
            gpus[card] |= changes
        return Node.model_validate({"gpus": list(gpus.values())})

    def _gpu(self, card: int) -> dict[str, Any]:
        optional = {"tiles": self.tiles_per_dev, "vfs": self.vfs_per_pf, "memory_bytes": self.dev_mem_size}
        return {
            "card": card,
            "pci_id": self.device_id,
            "driver": self.driver,
            "numa_node": self.numa_node(card),
            "capabilities": self.capabilities,
            **{key: value for key, value in optional.items() if value},
        }


def canonical(key: str) -> str:
    """A field's name as documented, whatever its case; other names stay."""
    return FIELDS.get(key.lower(), key)


FIELDS: Mapping[str, str] = {to_pascal(name).lower(): to_pascal(name) for name in Generator.model_fields}
