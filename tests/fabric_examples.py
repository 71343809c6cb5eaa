"""What a XeLink sidecar would publish of a node's fabric, for tests of who reads it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations

from xpu_shared.telemetry.fabric import End
from xpu_shared.telemetry.publisher import Publisher
from xpu_shared.telemetry.topology import Link, LinkHealth, TopologyDevice, TopologySnapshot, TopologyState

RATE = 53_000_000_000  # bit/s of a lane


def link(a: str, b: str, lanes: int = 8, *, tile: int = 0, other_tile: int = 0, rate: int | None = RATE) -> Link:
    return Link(
        a=End(a, tile), b=End(b, other_tile), lanes=lanes, bits_per_second=rate, status=LinkHealth.HEALTHY, port_pairs=1
    )


def mesh(addresses: Iterable[str], lanes: int = 8) -> list[Link]:
    return [link(a, b, lanes) for a, b in combinations(addresses, 2)]


def islands(addresses: Sequence[str], size: int) -> list[Link]:
    return [link for first in range(0, len(addresses), size) for link in mesh(addresses[first : first + size])]


def fabric(addresses: Sequence[str], links: Iterable[Link]) -> TopologySnapshot:
    return TopologySnapshot(
        source="native",
        state=TopologyState.OK,
        devices=tuple(TopologyDevice(pci_address=address, index=number) for number, address in enumerate(addresses)),
        links=tuple(links),
    )


@contextmanager
def publishing(endpoint: str, *, validity: float = 60.0) -> Iterator[Publisher]:
    """A publisher in this process."""
    publisher = Publisher([endpoint], source="xelink", node="node-1", validity=validity)
    try:
        publisher.open()
        yield publisher
    finally:
        publisher.close()
