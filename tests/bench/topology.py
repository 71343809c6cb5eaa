"""The topology policy: how long an answer takes, and how good it is."""

import time
from collections.abc import Sequence
from math import comb
from random import Random

from bench.figures import Row, milliseconds
from shared.policy.fabrics import (
    NODES,
    Links,
    by_looking_at_all,
    fabric,
    islands,
    mesh,
    most_bandwidth,
    ring,
    scattered,
)
from xpu_shared.policy.fabric import Fabric
from xpu_shared.policy.search import best_set
from xpu_shared.policy.topology import Place, Topology

MOST_LOOKED_AT = 200_000  # sets; with more the optimum is not known in reasonable time
SIZES = (2, 3, 4, 5, 6, 8)


def policy(count: int, links: Links) -> Topology:
    places = {
        f"card{card}": Place(numa_nodes=(card * 2 // count,), root_port=f"0000:{card // 2:02x}:01.0")
        for card in range(count)
    }
    return Topology(places, {(f"card{one}", f"card{other}"): width for (one, other), width in links.items()})


def answers(runs: int) -> list[Row]:
    """Over fabrics of several kinds, each with free GPUs at random; the slowest kinds are in it."""
    rows: list[Row] = []
    for size, count, target in ((4, 16, "p99 < 2 ms"), (4, 64, "p99 < 5 ms"), (8, 64, "p99 < 10 ms")):
        random = Random(7)
        fabrics: tuple[Links, ...] = (
            islands(count // 8, 8),
            islands(count // 8, 8, random),
            scattered(count, 0.3, random),
            scattered(count, 0.9, random),
            islands(count // 16, 16, random),
            mesh(range(count)),
            ring(count),
            {},
        )
        durations, waits = [], []
        for links in fabrics:
            chooses = policy(count, links)
            chooses([f"card{card}-0" for card in range(count)], [], size)  # weaves the fabric
            for run in range(runs):
                free = random.sample(range(count), count if run % 2 == 0 else count * 3 // 4)
                available = [f"card{card}-0" for card in sorted(free)]
                asked = time.perf_counter()
                started = time.thread_time()  # pure computation: what else the machine does is not its cost
                chooses(available, [], size)
                durations.append(time.thread_time() - started)
                waits.append(time.perf_counter() - asked)
        rows.append((f"topology, {size} of {count} GPUs, CPU time", milliseconds(durations), target))
        rows.append((f"topology, {size} of {count} GPUs, wall time", milliseconds(waits), target))
    return rows


def cost_of_all() -> list[Row]:
    """What the method that looks at every set, as others do, costs at 4 of 16."""
    node = NODES["16 at random"]
    started = time.perf_counter()
    by_looking_at_all(node, dict.fromkeys(range(16), 1), [], 4)
    return [(f"looking at all {comb(16, 4)} sets of 4 of 16", f"{(time.perf_counter() - started) * 1000:.1f} ms", "-")]


def quality() -> list[Row]:
    """The worst of each fabric's answers against the optimum."""
    rows: list[Row] = []
    for name, node in NODES.items():
        free = dict.fromkeys(range(node.size), 1)
        sizes = [size for size in SIZES if size <= node.size and comb(node.size, size) <= MOST_LOOKED_AT]
        if sizes:
            rows.append(_row(name, sizes, [_compared(node, free, size) for size in sizes]))
    for size, fabrics in ((4, 40), (8, 4)):
        compared = [_compared_at_random(size, seed) for seed in range(fabrics)]
        rows.append(_row(f"{fabrics} times 64 at random", [size], compared))
    return rows


def _row(name: str, sizes: Sequence[int], compared: Sequence[tuple[float, bool]]) -> Row:
    worst = min(bandwidth for bandwidth, _ in compared)
    connected = sum(connected for _, connected in compared)
    return (
        f"quality, {name}, {'/'.join(map(str, sizes))} GPUs",
        f"bandwidth at least {worst:.1%}, connected as the optimum {connected} of {len(compared)}",
        "≥ 99 %, all",
    )


def _compared(node: Fabric, free: dict[int, int], size: int) -> tuple[float, bool]:
    """The share of the optimum's bandwidth, and whether as many are connected."""
    found = node.worth(best_set(node, free, [], size), free)
    _, best = by_looking_at_all(node, free, [], size)
    return found.bandwidth / best.bandwidth if best.bandwidth else 1.0, found.connected == best.connected


def _compared_at_random(size: int, seed: int) -> tuple[float, bool]:
    """As above, where sets are too many to look at all: branch and bound finds the optimum."""
    random = Random(seed)
    node, free = fabric(64, scattered(64, (0.2, 0.4, 0.6, 0.9)[seed % 4], random)), dict.fromkeys(range(64), 1)
    found = node.worth(best_set(node, free, [], size), free)
    return found.bandwidth / most_bandwidth(node, free, size, at_least=found.bandwidth), found.connected == size
