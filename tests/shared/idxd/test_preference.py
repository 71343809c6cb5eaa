"""Which queues a container gets of several."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.idxd.preference import choose

NUMA = {0: (0,), 2: (0,), 4: (1,), 6: (1,)}


def slots(*queues: str, shares: int = 1) -> list[str]:
    mode = "dedicated" if shares == 1 else "shared"
    return [f"wq-user-{mode}-wq{queue}-{share}" for queue in queues for share in range(shares)]


def queues(ids: tuple[str, ...]) -> list[str]:
    return [id_.split("-")[3].removeprefix("wq") for id_ in ids]


def chosen(policy: str, available: list[str], size: int, must: list[str] | None = None) -> list[str]:
    return queues(choose(policy, available, must or [], size, numa_nodes=NUMA))


def test_pack_takes_the_fewest_devices() -> None:
    free = slots("0.0", "2.0", "2.1", "2.2", "4.0", "4.1")

    assert chosen("pack", free, 3) == ["2.0", "2.1", "2.2"]


def test_pack_leaves_large_devices_alone_when_a_small_one_is_enough() -> None:
    assert chosen("pack", slots("0.0", "0.1", "0.2", "2.0"), 1) == ["2.0"]


def test_pack_stays_on_one_numa_node_where_that_takes_more_devices() -> None:
    free = slots("0.0", "0.1", "0.2", "4.0", "4.1", "6.0", "6.1")

    assert chosen("pack", free, 4) == ["4.0", "4.1", "6.0", "6.1"]


def test_pack_crosses_numa_nodes_when_it_must() -> None:
    assert len(chosen("pack", slots("0.0", "2.0", "4.0"), 3)) == 3


def test_pack_stays_beside_what_must_be_included() -> None:
    free = slots("0.0", "0.1", "0.2", "0.3", "4.0", "4.1", "6.0")

    assert chosen("pack", free, 3, must=slots("4.1")) == ["4.1", "4.0", "6.0"]


def test_spread_takes_many_devices() -> None:
    free = slots("0.0", "0.1", "2.0", "2.1", "4.0", "10.0")

    assert chosen("spread", free, 4) == ["0.0", "2.0", "4.0", "10.0"]
    assert chosen("spread", free, 5) == ["0.0", "0.1", "2.0", "4.0", "10.0"]


def test_spread_avoids_the_devices_of_what_must_be_included() -> None:
    assert chosen("spread", slots("0.0", "0.1", "2.0"), 2, must=slots("0.1")) == ["0.1", "2.0"]


@pytest.mark.parametrize("policy", ["pack", "spread"])
def test_a_second_slot_of_a_queue_comes_after_all_other_queues(policy: str) -> None:
    free = slots("0.0", "0.1", "4.0", shares=3)

    assert sorted(chosen(policy, free, 3)) == ["0.0", "0.1", "4.0"]
    assert sorted(chosen(policy, free, 4, must=["wq-user-shared-wq4.0-2"])).count("4.0") <= 2


@pytest.mark.parametrize("policy", ["pack", "spread"])
def test_ids_of_no_known_form_are_chosen_like_others(policy: str) -> None:
    assert len(choose(policy, ["x", "y", "z"], ["y"], 2, numa_nodes={})) == 2


@given(
    policy=st.sampled_from(["pack", "spread"]),
    free=st.lists(
        st.builds(
            lambda device, queue, slot: f"wq-user-shared-wq{device}.{queue}-{slot}",
            st.integers(0, 5),
            st.integers(0, 3),
            st.integers(0, 3),
        ),
        unique=True,
        min_size=1,
        max_size=30,
    ),
    data=st.data(),
)
def test_every_answer_is_one_and_has_no_second_slot_while_a_queue_is_free(
    policy: str, free: list[str], data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, len(free)))
    must = data.draw(st.lists(st.sampled_from(free), unique=True, max_size=size))

    answer = choose(policy, free, must, size, numa_nodes=NUMA)

    assert len(answer) == len(set(answer)) == size
    assert set(must) <= set(answer) <= set(free)
    assert answer == choose(policy, list(reversed(free)), must, size, numa_nodes=NUMA)
    counts = {queue: queues(answer).count(queue) for queue in queues(tuple(free))}
    forced = {queue: queues(tuple(must)).count(queue) for queue in counts}
    if any(counts[queue] > max(1, forced[queue]) for queue in counts):
        assert all(counts.values())
