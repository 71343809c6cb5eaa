"""The policy: ids in, ids out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.policy.topology import Place, Topology

EIGHT = {f"card{number}": Place(numa_nodes=(number // 4,), root_port=f"{number // 2}") for number in range(8)}
ISLANDS = {
    (f"card{first}", f"card{second}"): 400
    for island in (range(0, 8, 2), range(1, 8, 2))
    for first in island
    for second in island
    if first < second
}


def ids(*units: int, aliases: int = 1) -> list[str]:
    return [f"card{unit}-{alias}" for unit in units for alias in range(aliases)]


def test_four_of_two_islands_are_one_island() -> None:
    policy = Topology(EIGHT, ISLANDS)

    assert policy(ids(*range(8)), [], 4) == ("card0-0", "card2-0", "card4-0", "card6-0")
    assert policy(ids(*range(8)), ["card3-0"], 4) == ("card3-0", "card1-0", "card5-0", "card7-0")
    assert policy(ids(0, 1, 3, 4, 5, 6, 7), [], 4) == ("card1-0", "card3-0", "card5-0", "card7-0")


def test_the_wider_links_win() -> None:
    policy = Topology(EIGHT, {("card0", "card1"): 100, ("card6", "card2"): 101})

    assert policy(ids(*range(8)), [], 2) == ("card2-0", "card6-0")


def test_several_links_between_two_units_add_up() -> None:
    policy = Topology(EIGHT, {("card0", "card1"): 100, ("card2", "card3"): 60, ("card3", "card2"): 60})

    assert policy(ids(*range(8)), [], 2) == ("card2-0", "card3-0")


def test_without_links_nearness_decides() -> None:
    policy = Topology(EIGHT)

    assert policy(ids(1, 3, 4, 5, 7), [], 2) == ("card4-0", "card5-0")  # below one root port
    assert policy(ids(0, 3, 4, 6, 7), [], 3) == ("card4-0", "card6-0", "card7-0")  # near one NUMA node


def test_of_equal_units_those_used_most_are_filled_first() -> None:
    policy = Topology({f"card{number}": Place() for number in range(3)})
    available = ["card0-0", "card0-1", "card1-1", "card2-0", "card2-1"]

    assert policy(available, [], 1) == ("card1-1",)
    assert policy(available, [], 2) == ("card0-0", "card1-1")


def test_aliases_of_one_unit_only_when_units_run_out() -> None:
    policy = Topology(EIGHT, ISLANDS)
    available = [*ids(0, aliases=3), *ids(1, 2, aliases=2)]

    assert policy(available, [], 3) == ("card0-0", "card1-0", "card2-0")
    assert policy(available, [], 5) == ("card0-0", "card1-0", "card2-0", "card1-1", "card2-1")
    assert policy(available, ["card0-2", "card0-1"], 3) == ("card0-1", "card0-2", "card2-0")


def test_units_nobody_knows_are_units_all_the_same() -> None:
    policy = Topology(EIGHT, ISLANDS)

    assert policy(["new-0", "card0-0", "card4-0"], [], 2) == ("card0-0", "card4-0")
    assert policy(["new-0", "other"], [], 2) == ("new-0", "other")


def test_links_that_lie_are_no_links() -> None:
    policy = Topology(EIGHT, {("card3", "card3"): 10**6, ("card3", "ghost"): 10**6, ("card4", "card5"): 1})

    assert policy(ids(*range(8)), [], 2) == ("card4-0", "card5-0")


@st.composite
def questions(draw: st.DrawFn) -> tuple[Topology, list[str], list[str], int]:
    units = [f"card{number}" for number in range(draw(st.integers(1, 10)))]
    places = {unit: Place(numa_nodes=(draw(st.integers(0, 2)),)) for unit in units if draw(st.booleans())}
    names = st.sampled_from([*units, "ghost"])
    links = draw(st.dictionaries(st.tuples(names, names), st.integers(1, 100), max_size=20))
    every = [f"{unit}-{alias}" for unit in units for alias in range(3)]
    available = draw(st.lists(st.sampled_from(every), min_size=1, unique=True))
    size = draw(st.integers(1, len(available)))
    must = draw(st.lists(st.sampled_from(available), max_size=size, unique=True))
    return Topology(places, links), available, must, size


@given(questions())
def test_every_answer_keeps_the_rules(question: tuple[Topology, list[str], list[str], int]) -> None:
    policy, available, must, size = question

    answer = policy(available, must, size)

    assert len(answer) == len(set(answer)) == size
    assert set(must) <= set(answer) <= set(available)
    assert policy(available[::-1], must[::-1], size) == answer
    units = {id_.partition("-")[0] for id_ in answer}
    begun = {id_.partition("-")[0] for id_ in must}
    can_be_had = {id_.partition("-")[0] for id_ in available}
    assert len(units) == len(begun) + min(size - len(must), len(can_be_had - begun))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_an_id_without_an_alias_is_a_unit(size: int) -> None:
    assert Topology({})(["all", "b", "a"], [], size) == ("a", "all", "b")[:size]
