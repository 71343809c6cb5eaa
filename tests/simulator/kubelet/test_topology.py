from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_simulator.kubelet.resources import ListedDevice
from xpu_simulator.kubelet.topology import (
    ANYWHERE,
    NOWHERE,
    Hint,
    Nodes,
    Policy,
    TopologyAffinityError,
    affinity,
    checked_policy,
    hints,
    merge,
    split,
)


def listed(**nodes: Sequence[int]) -> dict[str, ListedDevice]:
    return {id_: ListedDevice(id=id_, numa_nodes=tuple(on)) for id_, on in nodes.items()}


def on(*nodes: int, preferred: bool = True) -> Hint:
    return Hint(Nodes(nodes), preferred)


FOUR = listed(a=[0], b=[0], c=[1], d=[1])


@pytest.mark.parametrize(
    ("available", "needed", "expected"),
    [
        ("abcd", 2, {on(0), on(1), on(0, 1, preferred=False)}),
        ("abc", 2, {on(0), on(0, 1, preferred=False)}),
        ("ac", 2, {on(0, 1, preferred=False)}),  # an empty node would do, so two are not what is preferred
        ("abcd", 3, {on(0, 1)}),
        ("a", 2, {NOWHERE}),
        ("", 1, {NOWHERE}),
    ],
)
def test_hints_are_the_sets_with_enough_devices_and_the_smallest_possible_is_preferred(
    available: str, needed: int, expected: set[Hint]
) -> None:
    assert set(hints(FOUR, available, needed, [0, 1])) == expected


def test_devices_that_name_no_node_have_no_opinion() -> None:
    assert hints(listed(a=[], b=[]), "ab", 1, [0, 1]) == (ANYWHERE,)
    assert hints({}, "", 1, [0, 1]) == (ANYWHERE,)


def test_beside_devices_on_nodes_those_on_none_count_for_no_node() -> None:
    assert hints(listed(a=[0], b=[]), "ab", 2, [0, 1]) == (NOWHERE,)


def test_a_device_on_two_nodes_counts_for_both() -> None:
    assert set(hints(listed(a=[0, 1]), "a", 1, [0, 1])) == {on(0), on(1), on(0, 1, preferred=False)}


def test_what_a_pod_owns_and_its_plugin_lists_no_longer_counts_for_nothing() -> None:
    assert hints(FOUR, ["a", "gone"], 2, [0, 1]) == (NOWHERE,)


@pytest.mark.parametrize(
    ("by_resource", "expected"),
    [
        ([], on(0, 1)),
        ([[ANYWHERE]], on(0, 1)),
        ([[NOWHERE]], on(0, 1, preferred=False)),
        ([[on(1), on(0), on(0, 1, preferred=False)]], on(0)),
        ([[on(0), on(1)], [on(1)]], on(1)),
        ([[on(1)], [ANYWHERE]], on(1)),
        ([[on(0)], [on(1)]], on(0, 1, preferred=False)),  # nothing in common
        ([[on(0)], [on(0, 1)]], on(0, preferred=False)),  # not the same
    ],
)
def test_hints_are_merged_to_what_they_have_in_common(by_resource: list[list[Hint]], expected: Hint) -> None:
    assert merge(by_resource, [0, 1]) == expected


def test_of_results_that_are_not_preferred_the_best_has_as_many_nodes_as_the_neediest_resource() -> None:
    pairs = [on(0, 1, preferred=False), on(1, 2, preferred=False), on(0, 1, 2, preferred=False)]
    singles = [on(2, preferred=False), on(0, 1, 2, preferred=False)]
    assert merge([pairs, singles], [0, 1, 2]) == on(0, 1, preferred=False)


@pytest.mark.parametrize(
    ("policy", "by_resource", "expected"),
    [
        (Policy.NONE, [[NOWHERE]], None),
        (Policy.BEST_EFFORT, [[NOWHERE]], Nodes({0, 1})),
        (Policy.BEST_EFFORT, [[on(1)]], Nodes({1})),
        (Policy.RESTRICTED, [[on(0, 1)]], Nodes({0, 1})),
        (Policy.SINGLE_NUMA_NODE, [[on(1), on(0, 1, preferred=False)]], Nodes({1})),
        (Policy.SINGLE_NUMA_NODE, [[ANYWHERE]], None),
    ],
)
def test_the_policy_decides_what_is_wanted(
    policy: Policy, by_resource: list[list[Hint]], expected: Nodes | None
) -> None:
    assert affinity(policy, by_resource, [0, 1]) == expected


@pytest.mark.parametrize(
    ("policy", "by_resource"),
    [
        (Policy.RESTRICTED, [[NOWHERE]]),
        (Policy.RESTRICTED, [[on(0, 1, preferred=False)]]),
        (Policy.RESTRICTED, [[on(0)], [on(1)]]),
        (Policy.SINGLE_NUMA_NODE, [[on(0, 1)]]),
        (Policy.SINGLE_NUMA_NODE, [[on(0, preferred=False)]]),
        (Policy.SINGLE_NUMA_NODE, [[ANYWHERE], [NOWHERE]]),
    ],
)
def test_the_policy_rejects_what_is_not_good_enough(policy: Policy, by_resource: list[list[Hint]]) -> None:
    with pytest.raises(TopologyAffinityError, match="cannot be allocated with Topology locality"):
        affinity(policy, by_resource, [0, 1])


def test_ids_are_split_by_the_nodes_wanted() -> None:
    devices = listed(a=[0], b=[0, 1], c=[1], d=[])
    assert split(devices, "abcd", Nodes({0})) == (frozenset("ab"), frozenset("c"), frozenset("d"))
    assert split(devices, "abcd", None) == (frozenset(), frozenset(), frozenset("abcd"))
    assert split(listed(a=[], b=[]), "ab", Nodes({0})) == (frozenset(), frozenset(), frozenset("ab"))


@pytest.mark.parametrize(
    ("name", "nodes", "message"),
    [
        ("strict", None, "'strict': expected one of none, best-effort, restricted, single-numa-node"),
        ("restricted", range(9), "at most 8 NUMA nodes, found 9"),
        ("restricted", [0, -1], "NUMA node -1: expected 0 to 63"),
        ("none", [64], "NUMA node 64: expected 0 to 63"),
    ],
)
def test_a_policy_that_kubelets_do_not_take_is_refused(name: str, nodes: Sequence[int] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked_policy(name, nodes)


NODES = [0, 1, 2]
some_hints = st.lists(
    st.builds(
        Hint,
        st.one_of(st.none(), st.frozensets(st.sampled_from(NODES), min_size=1)),
        st.booleans(),
    ),
    max_size=4,
)


@given(st.lists(some_hints, max_size=3))
def test_merging_finds_what_trying_every_combination_finds(by_resource: list[list[Hint]]) -> None:
    merged = merge(by_resource, NODES)

    found = {_combined(combination) for combination in product(*by_resource)}
    sets = {(nodes, preferred) for nodes, preferred in found if nodes}
    if not sets:
        assert merged == on(*NODES, preferred=False)
        return
    assert (merged.nodes, merged.preferred) in sets
    assert merged.preferred == any(preferred for _, preferred in sets)
    if merged.preferred:
        assert len(merged.nodes or ()) == min(len(nodes) for nodes, preferred in sets if preferred)


def _combined(combination: Sequence[Hint]) -> tuple[Nodes, bool]:
    named = [hint.nodes for hint in combination if hint.nodes is not None]
    common = Nodes(NODES).intersection(*named)
    return common, all(hint.preferred for hint in combination) and len(set(named)) < 2


@given(
    devices=st.dictionaries(
        st.text("abcdef", min_size=1, max_size=1), st.lists(st.sampled_from(NODES), unique=True, max_size=3)
    ),
    needed=st.integers(1, 4),
    policy=st.sampled_from([Policy.RESTRICTED, Policy.SINGLE_NUMA_NODE]),
)
def test_what_is_let_in_finds_all_its_devices_on_its_nodes(
    devices: dict[str, list[int]], needed: int, policy: Policy
) -> None:
    known = listed(**devices)
    try:
        nodes = affinity(policy, [hints(known, known.keys(), needed, NODES)], NODES)
    except TopologyAffinityError:
        return
    aligned, _, _ = split(known, known.keys(), nodes)
    assert len(aligned) >= needed or not any(devices.values())
    assert policy is Policy.RESTRICTED or len(nodes or ()) < 2
