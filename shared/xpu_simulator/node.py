"""A node as its owner describes it: which cards it has and how they are wired, in one YAML file.

Everything has a default, so that a node of four GPUs is a few lines. Values only: `gpu.py` says what a card looks like
in sysfs and /dev, `tree.py` writes it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    field_validator,
    model_validator,
)

from xpu_simulator.models import BY_PCI_ID, MODELS, Model

INTEL = 0x8086
IntelDriver = Literal["i915", "xe", "vfio-pci"]  # a card bound to vfio-pci has no DRM card
DEFAULT_MODEL = "flex-170"
PCI_ADDRESS = re.compile(r"[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
MOST_TILES = 64  # real ones have up to 4; the generator of fake devices sets no limit
LAST_CARD = 127  # cards and render nodes share the minor numbers of one major number
RENDER_MINORS = 128
LAST_RENDER = 255
LAST_BUS_NUMBER = 0xFFFF  # of a bus, device and function together


def _from_hexadecimal(value: object) -> object:
    """Ids are written 0x56c0; YAML makes a number of that, quotes make it a text."""
    try:
        return int(value, base=16) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("a PCI id is written as 0x and four hexadecimal digits") from None


def _pci_address_text(value: object) -> object:
    if isinstance(value, int | float):
        raise ValueError("a PCI address needs quotes: without them YAML 1.1 reads it as a number in base 60")
    if isinstance(value, str) and not PCI_ADDRESS.fullmatch(value):
        raise ValueError("expected a PCI address such as '0000:17:00.0'")
    return value


def _name_text(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError("a name has letters, digits, '-' and '_', at most 63, and begins with a letter or digit")
    return name


def _render_number(value: object) -> object:
    if value != "none" and not (type(value) is int and RENDER_MINORS <= value <= LAST_RENDER):
        raise ValueError(f"expected a number from {RENDER_MINORS} to {LAST_RENDER}, or none")
    return value


def _known_model(name: str) -> str:
    if name not in MODELS:
        raise ValueError(f"the known models are {', '.join(MODELS)}; for another one give pci_id")
    return name


PciId = Annotated[int, BeforeValidator(_from_hexadecimal), Field(strict=True, ge=0, le=0xFFFF)]
PciAddress = Annotated[str, BeforeValidator(_pci_address_text)]
Name = Annotated[str, AfterValidator(_name_text)]
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


class Gpu(BaseModel):
    """One card. `Gpu()` is a Flex 170 as card0; every field may be given."""

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
    numa_node: Annotated[int, Field(strict=True, ge=-1, le=1023)] = -1  # -1: the platform names none
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
    def virtual_functions(self) -> tuple["Gpu", ...]:
        """Its virtual functions as cards; they follow it in card numbers and on the PCI bus."""
        return tuple(
            Gpu(
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


def following_address(pci_address: str, distance: int) -> str:
    """The PCI address `distance` functions further; virtual functions may be on the next bus."""
    domain, bus, device, function = re.split("[:.]", pci_address)
    number = (int(bus, 16) << 8 | int(device, 16) << 3 | int(function)) + distance
    if number > LAST_BUS_NUMBER:
        raise ValueError(f"there is no room for {distance} virtual functions behind {pci_address}")
    return f"{domain}:{number >> 8:02x}:{number >> 3 & 0x1F:02x}.{number & 7}"


class Node(BaseModel):
    """A whole node."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gpus: list[Gpu]
    cpus_per_numa_node: Annotated[int, Field(strict=True, ge=1, le=4096)] = 16

    @field_validator("gpus", mode="before")
    @classmethod
    def _number_cards(cls, value: object) -> object:
        """A card without a number gets the one after its predecessor's, whose virtual functions count."""
        if not isinstance(value, list | tuple):
            return value  # refused next, with its place
        numbered, free = [], 0
        for gpu in value:
            entry = {"card": free, **gpu} if isinstance(gpu, dict) else gpu
            numbered.append(entry)
            free = _last_card(entry, free) + 1
        return numbered

    @model_validator(mode="after")
    def _no_duplicates(self) -> Self:
        functions = dict(self._functions())
        cards = {place: gpu for place, gpu in functions.items() if gpu.has_card}
        _refuse_duplicates("card", cards, lambda gpu: [gpu.card])
        _refuse_duplicates("render", cards, lambda gpu: [] if gpu.render == "none" else [gpu.render])
        _refuse_duplicates("mei", cards, lambda gpu: gpu.mei)
        _refuse_duplicates("pci_address", functions, lambda gpu: [gpu.pci_address])
        named = {f"gpus.{number}": gpu for number, gpu in enumerate(self.gpus)}
        _refuse_duplicates("name", named, lambda gpu: [gpu.name])
        return self

    def _functions(self) -> Iterator[tuple[str, Gpu]]:
        """Every card and virtual function with its place in the description."""
        for place, gpu in enumerate(self.gpus):
            yield f"gpus.{place}", gpu
            for number, function in enumerate(gpu.virtual_functions, start=1):
                yield f"virtual function {number} of gpus.{place}", function

    def gpu(self, name: str) -> Gpu:
        """The card of that name; KeyError with the names there are."""
        for gpu in self.gpus:
            if gpu.name == name:
                return gpu
        raise KeyError(f"no GPU {name!r}; there are {', '.join(gpu.name for gpu in self.gpus)}")


def _last_card(entry: object, free: int) -> int:
    """The highest card number of an entry that is not yet checked."""
    if isinstance(entry, Gpu):
        return entry.card + (entry.vfs or 0)
    card, vfs = (entry.get("card"), entry.get("vfs") or 0) if isinstance(entry, dict) else (free, 0)
    return card + vfs if isinstance(card, int) and isinstance(vfs, int) else free


def _refuse_duplicates(key: str, gpus: Mapping[str, Gpu], values: Callable[[Gpu], Iterable[object]]) -> None:
    """For what only one of `gpus`, by place, can have."""
    owners: dict[object, str] = {}
    for place, gpu in gpus.items():
        for value in values(gpu):
            if value in owners:
                raise ValueError(f"{key} {value} is that of {owners[value]} and of {place}")
            owners[value] = place
