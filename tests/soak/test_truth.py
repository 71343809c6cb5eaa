"""The oracle of the soak: what may be seen after which event, and that it would notice what is wrong."""

import pytest

from soak.truth import ABSENT, HEALTHY, UNHEALTHY, Truth, differences
from soak.usage import Sample, verdict
from xpu_simulator.level_zero.faults import WELL, Fault
from xpu_simulator.node import Gpu

I915, XE = "gpu.intel.com/i915", "gpu.intel.com/xe"
HOT = Fault(temperature=112)


@pytest.fixture
def truth() -> Truth:
    """Two GPUs that have been seen to be well."""
    found = Truth(present={"gpu0": Gpu(card=0), "gpu1": Gpu(card=1)})
    found.seen(0.0)
    return found


def states(truth: Truth, now: float = 0.0) -> dict[str, set[str]]:
    return {f"{resource.split('/')[1]} {id_}": set(found) for (resource, id_), found in truth.expected(now).items()}


def test_a_device_that_was_pulled_out_is_unhealthy_until_the_plugin_restarts(truth: Truth) -> None:
    truth.pulled("gpu1", 1.0)
    assert states(truth) == {"i915 card0-0": {HEALTHY}, "i915 card1-0": {UNHEALTHY}}

    truth.plugin_restarted()
    truth.seen(2.0)
    assert states(truth) == {"i915 card0-0": {HEALTHY}, "i915 card1-0": {ABSENT}}


def test_a_device_that_a_pod_holds_is_unhealthy_also_after_the_plugin_s_restart(truth: Truth) -> None:
    truth.pods["p"] = frozenset({(I915, "card1-0")})
    truth.pulled("gpu1", 1.0)
    truth.plugin_restarted()
    truth.seen(2.0)
    assert states(truth)["i915 card1-0"] == {UNHEALTHY}

    truth.deleted("p")
    assert states(truth)["i915 card1-0"] == {UNHEALTHY, ABSENT}


def test_a_device_that_comes_and_goes_may_never_have_been_seen_by_a_plugin_that_was_restarted(truth: Truth) -> None:
    truth.pulled("gpu1", 1.0)
    truth.plugin_restarted()
    truth.plugged("gpu1", Gpu(card=1), 2.0)
    truth.pulled("gpu1", 2.001)
    truth.seen(3.0)
    assert states(truth)["i915 card1-0"] == {UNHEALTHY, ABSENT}


def test_a_fault_is_certain_unless_the_sidecar_has_yet_to_find_the_gpu(truth: Truth) -> None:
    truth.faulted("gpu1", HOT)
    assert states(truth, 1.0)["i915 card1-0"] == {UNHEALTHY}

    truth.seen(1.0)
    truth.pulled("gpu1", 2.0)
    truth.faulted("gpu1", WELL)
    truth.plugged("gpu1", Gpu(card=1), 3.0)
    assert states(truth, 4.0)["i915 card1-0"] == {HEALTHY, UNHEALTHY}
    assert states(truth, truth.settled_at())["i915 card1-0"] == {HEALTHY}


def test_another_driver_is_another_resource(truth: Truth) -> None:
    truth.rebound("gpu1", Gpu(card=1, driver="xe"), 1.0)

    assert states(truth) == {"i915 card0-0": {HEALTHY}, "i915 card1-0": {UNHEALTHY}, "xe card1-0": {HEALTHY}}


def test_every_kind_of_difference_is_told(truth: Truth) -> None:
    seen = {(I915, "card0-0"): UNHEALTHY, (XE, "card7-0"): HEALTHY}

    assert list(differences(truth.expected(0.0), seen)) == [
        "gpu.intel.com/i915 card0-0 is Unhealthy, expected Healthy",
        "gpu.intel.com/i915 card1-0 is absent, expected Healthy",
        "gpu.intel.com/xe card7-0 is Healthy, expected absent",
    ]


@pytest.mark.parametrize(
    ("growing", "flat"),
    [({}, True), ({"descriptors": 1}, False), ({"threads": 1}, False), ({"memory": 0.2}, False)],
)
def test_growth_is_noticed(growing: dict[str, float], flat: bool) -> None:
    life = [
        Sample(
            descriptors=int(30 + growing.get("descriptors", 0) * turn),
            threads=int(10 + growing.get("threads", 0) * turn),
            memory=26.0 + growing.get("memory", 0) * turn,
        )
        for turn in range(40)
    ]

    text, found = verdict("x", life)

    assert found is flat
    assert text.endswith("GROWS") is not flat
