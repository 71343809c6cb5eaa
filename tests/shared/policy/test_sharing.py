import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.policy.sharing import POLICIES, Policy, balanced, none, packed

AVAILABLE = ["card2-1", "card0-3", "card10-0", "card2-0", "card0-1", "card10-1", "card0-0"]

policies = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)


@pytest.mark.parametrize(
    ("policy", "size", "chosen"),
    [
        (none, 3, "card0-0 card2-0 card10-0"),
        (none, 5, "card0-0 card2-0 card10-0 card0-1 card0-3"),
        (balanced, 3, "card0-0 card0-1 card2-0"),
        (balanced, 5, "card0-0 card0-1 card2-0 card10-0 card0-3"),
        (packed, 3, "card2-0 card2-1 card10-0"),
        (packed, 5, "card2-0 card2-1 card10-0 card10-1 card0-0"),
    ],
)
def test_three_cards_that_are_used_unevenly(policy: Policy, size: int, chosen: str) -> None:
    assert policy(AVAILABLE, [], size) == tuple(chosen.split())


@pytest.mark.parametrize(
    ("policy", "size", "chosen"),
    [
        (none, 3, "card10-1 card0-0 card2-0"),
        (none, 5, "card10-1 card0-0 card2-0 card0-1 card0-3"),
        (balanced, 3, "card10-1 card0-0 card0-1"),
        (packed, 3, "card10-1 card10-0 card2-0"),
    ],
)
def test_what_must_be_included_comes_first_and_counts(policy: Policy, size: int, chosen: str) -> None:
    assert policy(AVAILABLE, ["card10-1"], size) == tuple(chosen.split())


def test_none_spreads_over_cards_before_it_doubles_up() -> None:
    assert none(["a-0", "a-1", "b-0", "b-1"], [], 2) == ("a-0", "b-0")


def test_packed_begins_with_the_fullest_of_the_begun_cards() -> None:
    available = ["card1-0", "card1-1", "card1-2", "card2-0", "card2-1", "card3-0"]

    assert packed(available, ["card1-0", "card2-0"], 4) == ("card1-0", "card2-0", "card2-1", "card1-1")


@policies
def test_numbers_count_as_numbers(policy: Policy) -> None:
    assert policy(["card10-0", "card9-0"], [], 1) == ("card9-0",)
    assert policy(["card9-10", "card9-9"], [], 1) == ("card9-9",)


@policies
def test_ids_without_a_dash_are_units_of_their_own(policy: Policy) -> None:
    assert policy(["all", "b", "", "a"], [], 3) == ("", "a", "all")


@policies
def test_duplicates_count_once(policy: Policy) -> None:
    assert sorted(policy(["a-0", "a-0", "b-0"], ["b-0", "b-0"], 2)) == ["a-0", "b-0"]


@policies
def test_what_must_be_included_but_is_not_available_is_ignored(policy: Policy) -> None:
    assert policy(["a-0", "b-0"], ["c-0", "b-0"], 1) == ("b-0",)


@policies
@pytest.mark.parametrize("size", [0, 2])
def test_more_than_there_is_gives_all_and_nothing_gives_none(policy: Policy, size: int) -> None:
    assert policy(["a-0"], [], size) == ("a-0",)[:size]


# Few letters, so that units, aliases and numbers often meet; digits of other scripts are no numbers.
ids = st.lists(st.one_of(st.text("ab-019٣", max_size=6), st.from_regex(r"card[0-9]{1,2}-[0-9]", fullmatch=True)))


@policies
@given(data=st.data(), found=ids)
def test_any_possible_wish_is_answered_exactly_and_by_the_sets_alone(
    policy: Policy, data: st.DataObject, found: list[str]
) -> None:
    available = sorted(set(found))
    must_include = data.draw(st.lists(st.sampled_from(available), unique=True)) if available else []
    size = data.draw(st.integers(len(must_include), len(available)))

    chosen = policy(available, must_include, size)

    assert len(chosen) == len(set(chosen)) == size
    assert set(must_include) <= set(chosen) <= set(available)
    shuffled = data.draw(st.permutations(available))
    assert policy(shuffled + shuffled, must_include[::-1], size) == chosen


@policies
def test_sixty_four_cards_shared_a_thousand_times_are_no_trouble(policy: Policy) -> None:
    available = [f"card{card}-{alias}" for card in range(64) for alias in range(1024)]
    random.Random(1).shuffle(available)

    assert policy(available, [], 1) == ("card0-0",)
