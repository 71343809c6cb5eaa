"""What a container is told of its GPUs in its environment: what only a sidecar knows. docs/gpu.md names the variables.

Each variable is a list separated by commas with one element for each GPU, in the order of the card numbers. What is
not known of a GPU is an empty element; a variable of which nothing is known is left out.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xpu_plugins.gpu.fabric import CardLink

MEMORY = "XPU_GPU_MEMORY_BYTES"
UUIDS = "XPU_GPU_UUIDS"
TILES = "XPU_GPU_TILES"
ADDRESSES = "XPU_GPU_PCI_ADDRESSES"
LINKS = "XPU_GPU_LINKS"
LINK_RATES = "XPU_GPU_LINK_BITS_PER_SECOND"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a workload may want to know of a GPU and only a source besides sysfs can say."""

    memory_bytes: int | None = None
    uuid: str = ""  # empty: not known
    tiles: int | None = None

    def with_newer(self, newer: "Facts") -> "Facts":
        """What is known after a newer message; what it does not say stays, unless it tells of another GPU."""
        if self.uuid and newer.uuid and self.uuid != newer.uuid:
            return newer
        return Facts(
            memory_bytes=self.memory_bytes if newer.memory_bytes is None else newer.memory_bytes,
            uuid=newer.uuid or self.uuid,
            tiles=self.tiles if newer.tiles is None else newer.tiles,
        )


def updated(known: Mapping[str, Facts], newer: Mapping[str, Facts], *, present: Collection[str]) -> dict[str, Facts]:
    """Facts by PCI address after a message; those of GPUs that are neither present nor in it are forgotten."""
    kept = {address: facts for address, facts in known.items() if address in present}
    return kept | {address: known.get(address, Facts()).with_newer(facts) for address, facts in newer.items()}


def environment(gpus: Sequence[Facts]) -> Mapping[str, str]:
    """The variables of a container that is given these GPUs."""
    values = {
        MEMORY: ["" if gpu.memory_bytes is None else str(gpu.memory_bytes) for gpu in gpus],
        UUIDS: [gpu.uuid for gpu in gpus],
        TILES: ["" if gpu.tiles is None else str(gpu.tiles) for gpu in gpus],
    }
    return {name: ",".join(texts) for name, texts in values.items() if any(texts)}


def link_environment(
    cards: Sequence[str], addresses: Mapping[str, str], links: "Sequence[CardLink] | None"
) -> Mapping[str, str]:
    """The variables that tell a container with several GPUs how they are joined.

    Args:
        cards: the container's, by number; a link's text has their places in it.
        addresses: on the PCI bus, by card.
        links: those among the cards; None: nothing is known.
    """
    if len(cards) < 2 or links is None:
        return {}
    place = {card: number for number, card in enumerate(cards)}
    texts = [f"{place[link.card]}.{link.tile}-{place[link.other]}.{link.other_tile}:{link.lanes}" for link in links]
    rates = ["" if link.bits_per_second is None else str(link.lanes * link.bits_per_second) for link in links]
    return {
        ADDRESSES: ",".join(addresses.get(card, "") for card in cards),
        LINKS: ",".join(texts),  # empty: there are none, which is worth knowing
        **({LINK_RATES: ",".join(rates)} if any(rates) else {}),
    }


def cards_of(ids: Sequence[str]) -> list[str]:
    """The cards behind the ids of a container, by number."""
    return sorted({id_.rpartition("-")[0] for id_ in ids}, key=lambda card: (len(card), card))
