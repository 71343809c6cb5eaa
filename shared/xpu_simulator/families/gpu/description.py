"""A GPU as its owner describes it. Everything has a default, so that a node of four GPUs is a few lines."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, model_validator

from xpu_simulator.families.gpu.models import BY_PCI_ID, MODELS, Model
from xpu_simulator.fields import Name, NumaNode, PciAddress, PciId
from xpu_simulator.pci import INTEL, following_address

IntelDriver = Literal["i915", "xe", "vfio-pci"]  # a card bound to vfio-pci has no DRM card
DEFAULT_MODEL = "flex-170"
MOST_TILES = 64  # real ones have up to 4; the generator of fake devices sets no limit
LAST_CARD = 127  # cards and render nodes share the minor numbers of one major number
RENDER_MINORS = 128
LAST_RENDER = 255


def _render_number(value: object) -> object:
    if value != "none" and not (type(value) is int and RENDER_MINORS <= value <= LAST_RENDER):
        raise ValueError(f"expected a number from {RENDER_MINORS} to {LAST_RENDER}, or none")
    return value


def _known_model(name: str) -> str:
    if name not in MODELS:
        raise ValueError(f"the known models are {', '.join(MODELS)}; for another one give pci_id")
    return name


Card = Annotated[int, Field(strict=True, ge=0, le=LAST_CARD)]
VirtualFunctions = Annotated[int, Field(strict=True, ge=0, le=LAST_CARD)]  # how many are enabled
Number = Annotated[int, Field(strict=True, ge=0, le=4095)]


def _model(data: dict[str, Any]) -> Model:
    """What is known of a card: by its model's name, else by its PCI id, else what is true of most discrete cards."""
    if data["model"]:
        return MODELS[data["model"]]
    return BY_PCI_ID.get(data["pci_id"]) or Model(pci_id=data["pci_id"], driver="i915")


def _root_bus(data: dict[str, Any]) -> str:
    """Each card is below a root bus of its own: 10, 20 … f0 of domain 0, then of domain 1."""
    domain, position = divmod(data["card"], 15)
    return f"{domain:04x}:{position + 1:x}"


def _pci_address(data: dict[str, Any]) -> str:
    return "0000:00:02.0" if _model(data).integrated else f"{_root_bus(data)}2:00.0"


def _bridges(data: dict[str, Any]) -> list[str]:
    if _model(data).integrated or data["pci_address"] != _pci_address(data):
        return []
    return [f"{_root_bus(data)}0:01.0", f"{_root_bus(data)}1:00.0"]


def _mei(data: dict[str, Any]) -> list[int]:
    has_controller = data["vendor"] == INTEL and not _model(data).integrated
    return [data["card"] + 1] if has_controller else []  # mei0 is the processor's


class GpuDescription(BaseModel):
    """One card, a Flex 170 as card0 if nothing is said; every field may be given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    card: Card = 0
    name: Name = Field(default_factory=lambda data: f"gpu{data['card']}")  # what scenarios call it
    model: Annotated[str, AfterValidator(_known_model)] | None = None
    vendor: PciId = INTEL
    pci_id: PciId = Field(default_factory=lambda data: MODELS[data["model"] or DEFAULT_MODEL].pci_id)
    driver: Name = Field(default_factory=lambda data: _model(data).driver)
    render: Annotated[int | Literal["none"], BeforeValidator(_render_number)] = Field(
        default_factory=lambda data: RENDER_MINORS + data["card"]
    )
    numa_node: NumaNode = -1
    pci_address: PciAddress = Field(default_factory=_pci_address)
    bridges: list[PciAddress] = Field(default_factory=_bridges)  # from the root port down
    vfs: VirtualFunctions | None = None  # None: it has no SR-IOV
    vf_driver: Name = Field(default_factory=lambda data: data["driver"])  # with vfio-pci they have no cards
    memory_bytes: Annotated[int, Field(strict=True, ge=0, lt=2**63)] | None = None  # None: the driver does not tell
    capabilities: dict[str, str] = Field(default_factory=dict)  # what the driver tells in debugfs
    tiles: Annotated[int, Field(strict=True, ge=1, le=MOST_TILES)] = Field(
        default_factory=lambda data: _model(data).tiles
    )
    by_path: StrictBool = True
    mei: Annotated[list[Number], Field(max_length=2)] = Field(default_factory=_mei)  # numbers of its /dev/meiN

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for driver in (self.driver, self.vf_driver):
            if self.vendor == INTEL and driver not in get_args(IntelDriver):
                raise ValueError(f"driver {driver!r}: Intel's cards have {', '.join(get_args(IntelDriver))}")
        if self.card + (self.vfs or 0) > LAST_CARD:
            raise ValueError(f"card {self.card} with {self.vfs} virtual functions: card numbers end at {LAST_CARD}")
        following_address(self.pci_address, self.vfs or 0)
        return self

    @property
    def has_card(self) -> bool:
        return self.driver != "vfio-pci"

    @property
    def drivers(self) -> Sequence[str]:
        """Those it may have."""
        return get_args(IntelDriver) if self.vendor == INTEL else (self.driver, "vfio-pci")

    @property
    def virtual_functions(self) -> tuple[Self, ...]:
        """Its virtual functions as cards; they follow it in card numbers and on the PCI bus."""
        return tuple(
            type(self)(
                card=self.card + number,
                vendor=self.vendor,
                pci_id=self.pci_id,
                driver=self.vf_driver,
                numa_node=self.numa_node,
                pci_address=following_address(self.pci_address, number),
                bridges=self.bridges,
                memory_bytes=self.memory_bytes,
                by_path=self.by_path,
                mei=[],
            )
            for number in range(1, (self.vfs or 0) + 1)
        )
