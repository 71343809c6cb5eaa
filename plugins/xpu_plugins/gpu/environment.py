"""What a container is told of its GPUs in its environment: what only a sidecar knows. docs/gpu.md names the variables.

Each variable is a list separated by commas with one element for each GPU, in the order of the card numbers. What is
not known of a GPU is an empty element; a variable of which nothing is known is left out.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

MEMORY = "XPU_GPU_MEMORY_BYTES"
UUIDS = "XPU_GPU_UUIDS"
TILES = "XPU_GPU_TILES"


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


def cards_of(ids: Sequence[str]) -> list[str]:
    """The cards behind the ids of a container, by number."""
    return sorted({id_.rpartition("-")[0] for id_ in ids}, key=lambda card: (len(card), card))
