"""Ten thousand questions at random: no answer breaks a rule."""

import random

from shared.policy.fabrics import Links, by_looking_at_all, cube, fabric, islands, mesh, ring, scattered, without
from xpu_shared.policy.ids import unit_of
from xpu_shared.policy.topology import Place, Topology

CASES = 10_000
FEW = 7  # units up to which every set is looked at


def some_links(count: int, rng: random.Random) -> Links:
    kinds = [
        mesh(range(count)),
        ring(count),
        scattered(count, rng.random(), rng),
        islands(max(1, count // 4), 4, rng),
        {},
    ]
    if count >= 8:
        kinds.append(cube())
    links = {pair: width for pair, width in rng.choice(kinds).items() if pair[0] != pair[1] and pair[1] < count}
    down = rng.sample(sorted(links), rng.randint(0, len(links) // 3)) if rng.random() < 0.3 else []
    return without(links, *down)


def test_no_rule_is_broken() -> None:
    rng = random.Random(10)
    for _ in range(CASES):
        count = rng.choice([2, 3, 4, 5, 6, 7, 7, 8, 8, 12, 16]) if rng.random() < 0.99 else 64
        links = some_links(count, rng)
        woven = fabric(count, links)
        places = {
            f"card{unit}": Place(numa_nodes=(unit * 2 // count,), root_port=f"0000:{unit // 2:02x}:01.0")
            for unit in range(count)
        }
        policy = Topology(places, {(f"card{a}", f"card{b}"): width for (a, b), width in links.items()})
        aliases = rng.choice([1, 1, 2, 3])
        ids = [f"card{unit}-{alias}" for unit in range(count) for alias in range(aliases)]
        available = rng.sample(ids, rng.randint(1, len(ids)))
        size = rng.randint(1, len(available))
        must_include = rng.sample(available, rng.randint(0, min(size, 3)))

        answer = policy(available, must_include, size)

        question = f"{count} {links} {available} {must_include} {size}"
        assert len(answer) == len(set(answer)) == size, question
        assert set(must_include) <= set(answer) <= set(available), question
        shuffled = rng.sample(available, len(available))
        assert policy(shuffled, must_include[::-1], size) == answer, question
        begun = {unit_of(id_) for id_ in must_include}
        most = min(len({unit_of(id_) for id_ in available}), len(begun) + size - len(must_include))
        chosen = {unit_of(id_) for id_ in answer}
        assert len(chosen) == most, question
        if count <= FEW and aliases == 1:
            numbers = sorted(int(unit.removeprefix("card")) for unit in chosen)
            free = {int(unit_of(id_).removeprefix("card")): 1 for id_ in available}
            _, best = by_looking_at_all(woven, free, [int(unit.removeprefix("card")) for unit in begun], size)
            assert woven.worth(numbers, free)[:3] == best[:3], question
