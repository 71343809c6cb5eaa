"""The topology policy: how long an answer takes, and how good it is."""

import time
from collections.abc import Sequence
from math import comb
from random import Random

from bench.figures import Row, milliseconds
from shared.policy.fabrics import NODES, Links, by_looking_at_all, islands, scattered
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
            {},
        )
        durations, walls = [], []
        for links in fabrics:
            chooses = policy(count, links)
            chooses([f"card{card}-0" for card in range(count)], [], size)  # weaves the fabric
            for run in range(runs):
                free = random.sample(range(count), count if run % 2 == 0 else count * 3 // 4)
                available = [f"card{card}-0" for card in sorted(free)]
                wall, started = time.perf_counter(), time.thread_time()  # what else the machine does is not its cost
                chooses(available, [], size)
                durations.append(time.thread_time() - started)
                walls.append(time.perf_counter() - wall)
        rows.append((f"topology, {size} of {count} GPUs, CPU time", milliseconds(durations), target))
        rows.append((f"topology, {size} of {count} GPUs, wall time", milliseconds(walls), "-"))
    return rows


def cost_of_all() -> list[Row]:
    """What the method that looks at every set, as others do, costs at 4 of 16."""
    node = NODES["16 at random"]
    started = time.perf_counter()
    by_looking_at_all(node, dict.fromkeys(range(16), 1), [], 4)
    return [(f"looking at all {comb(16, 4)} sets of 4 of 16", f"{(time.perf_counter() - started) * 1000:.1f} ms", "-")]


def quality() -> list[Row]:
    """The worst of each fabric's answers against the optimum, over the sizes at which it can be found."""
    rows: list[Row] = []
    for name, node in NODES.items():
        free = dict.fromkeys(range(node.size), 1)
        sizes = [size for size in SIZES if size <= node.size and comb(node.size, size) <= MOST_LOOKED_AT]
        if not sizes:
            continue
        worst, exact = _compared(name, sizes, free)
        rows.append(
            (
                f"quality, {name}, {'/'.join(map(str, sizes))} GPUs",
                f"bandwidth at least {worst:.1%}, connected as the optimum {exact}",
                "≥ 99 %, all",
            )
        )
    return rows


def _compared(name: str, sizes: Sequence[int], free: dict[int, int]) -> tuple[float, str]:
    node, worst, connected = NODES[name], 1.0, 0
    for size in sizes:
        found = node.worth(best_set(node, free, [], size), free)
        _, best = by_looking_at_all(node, free, [], size)
        connected += found.connected == best.connected
        worst = min(worst, found.bandwidth / best.bandwidth if best.bandwidth else 1.0)
    return worst, f"{connected} of {len(sizes)}"
