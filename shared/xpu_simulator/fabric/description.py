"""A fabric as its owner describes it: a shape, or links one by one.

```yaml
fabric: mesh                               # or ring, cube, islands
fabric: {shape: islands, size: 4, lanes: 8}
fabric: [gpu0.0 gpu1.0, {between: [gpu0.1, gpu1.1], lanes: 8}]
```
"""

import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from xpu_simulator.families.gpu.device import Gpu

END = re.compile(r"(?P<gpu>[A-Za-z0-9][A-Za-z0-9_-]{0,62})\.(?P<tile>[0-9]{1,2})")
Lanes = Annotated[int, Field(strict=True, ge=1, le=64)]
LANES = 4  # of a port


class End(NamedTuple):
    gpu: str  # its name
    tile: int = 0

    def __str__(self) -> str:
        return f"{self.gpu}.{self.tile}"


class Joint(NamedTuple):
    """A link between two tiles."""

    a: End
    b: End
    lanes: int


def end(value: object) -> object:
    """`gpu0.1` is tile 1 of gpu0."""
    if isinstance(value, End):
        return value
    match = END.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"expected a GPU's name and tile such as gpu0.1, found {value!r}")
    return End(match["gpu"], int(match["tile"]))


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


EndText = Annotated[End, BeforeValidator(end), PlainSerializer(str, return_type=str)]
Shape = Literal["mesh", "ring", "cube", "islands"]


class Link(_Part):
    between: tuple[EndText, EndText]
    lanes: Lanes = LANES


class Shaped(_Part):
    """Links equal tiles of the GPUs in the order of the description."""

    shape: Shape
    size: Annotated[int, Field(strict=True, ge=2, le=128)] = 4  # of an island
    lanes: Lanes = LANES


def _written(value: object) -> object:
    """The short forms as the long ones."""
    if isinstance(value, str):
        return {"shape": value}
    if isinstance(value, list):
        return [{"between": item.split()} if isinstance(item, str) else item for item in value]
    return value


Fabric = Annotated[Shaped | list[Link], BeforeValidator(_written)]


def joints(fabric: Shaped | Sequence[Link], gpus: Sequence[Gpu]) -> list[Joint]:
    """All links. ValueError when a link's end is not there, or leads to itself, or a link is given twice."""
    if isinstance(fabric, Shaped):
        return list(_of_shape(fabric, gpus))
    tiles = {gpu.name: gpu.tiles for gpu in gpus}
    found: dict[frozenset[End], Joint] = {}
    for link in fabric:
        a, b = link.between
        for place in (a, b):
            if place.tile >= tiles.get(place.gpu, 0):
                raise ValueError(f"fabric: there is no {place}; {_there_are(tiles)}")
        if a == b or frozenset((a, b)) in found:
            raise ValueError(f"fabric: {a} and {b} are {'the same' if a == b else 'linked twice'}")
        found[frozenset((a, b))] = Joint(a, b, link.lanes)
    return list(found.values())


def _there_are(tiles: dict[str, int]) -> str:
    if not tiles:
        return "the node has no GPUs"
    return "there are " + ", ".join(
        f"{name}.0" + (f" to .{count - 1}" if count > 1 else "") for name, count in tiles.items()
    )


def _of_shape(fabric: Shaped, gpus: Sequence[Gpu]) -> Iterator[Joint]:
    for a, b in sorted(_pairs(fabric, len(gpus))):
        for tile in range(min(gpus[a].tiles, gpus[b].tiles)):
            yield Joint(End(gpus[a].name, tile), End(gpus[b].name, tile), fabric.lanes)


def _pairs(fabric: Shaped, count: int) -> set[tuple[int, int]]:
    places = range(count)
    if fabric.shape == "ring":
        return {(min(a, b), max(a, b)) for a in places if (b := (a + 1) % count) != a}
    if fabric.shape == "cube":  # of as many dimensions as there are GPUs for
        return {(a, b) for a, b in combinations(places, 2) if (a ^ b).bit_count() == 1}
    size = count if fabric.shape == "mesh" else fabric.size
    return {(a, b) for a, b in combinations(places, 2) if a // max(size, 1) == b // max(size, 1)}
