"""The oracle of the soak: what may be seen after which event, and that it would notice what is wrong."""

import pytest

from soak.pages import sidecar_page
from soak.said import wrong_labels, wrong_on_page, wrong_reasons
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
    truth.faulted("gpu1", HOT, 0.5)
    assert states(truth, 1.0)["i915 card1-0"] == {UNHEALTHY}

    truth.seen(1.0)
    truth.pulled("gpu1", 2.0)
    truth.faulted("gpu1", WELL, 2.5)
    truth.plugged("gpu1", Gpu(card=1), 3.0)
    assert states(truth, 4.0)["i915 card1-0"] == {HEALTHY, UNHEALTHY}
    assert states(truth, truth.reach.settled_at())["i915 card1-0"] == {HEALTHY}


def test_another_driver_is_another_resource(truth: Truth) -> None:
    truth.rebound("gpu1", Gpu(card=1, driver="xe"), 1.0)

    assert states(truth) == {"i915 card0-0": {HEALTHY}, "i915 card1-0": {UNHEALTHY}, "xe card1-0": {HEALTHY}}


def test_a_device_that_is_back_at_once_is_not_surely_free_while_the_list_without_it_may_still_come(
    truth: Truth,
) -> None:
    truth.pulled("gpu1", 10.0)
    truth.plugged("gpu1", Gpu(card=1), 10.2)

    assert (truth.surely_free(I915, 10.3), truth.surely_free(I915, 13.0)) == (1, 2)


def test_every_kind_of_difference_is_told(truth: Truth) -> None:
    seen = {(I915, "card0-0"): UNHEALTHY, (XE, "card7-0"): HEALTHY}

    assert list(differences(truth.expected(0.0), seen)) == [
        "gpu.intel.com/i915 card0-0 is Unhealthy, expected Healthy",
        "gpu.intel.com/i915 card1-0 is absent, expected Healthy",
        "gpu.intel.com/xe card7-0 is Healthy, expected absent",
    ]


def test_a_gpu_that_hangs_stays_as_it_was_until_the_sidecar_is_started_anew(truth: Truth) -> None:
    truth.faulted("gpu1", Fault(hang=True), 1.0)
    assert states(truth, 2.0)["i915 card1-0"] == {HEALTHY}

    truth.faulted("gpu1", HOT, 3.0)
    assert states(truth, 1000.0)["i915 card1-0"] == {HEALTHY, UNHEALTHY}

    truth.sidecar_restarted(1001.0)
    assert states(truth, 1001.0)["i915 card1-0"] == {UNHEALTHY}


def test_a_crash_of_the_driver_may_keep_news_of_every_gpu_back_for_a_while(truth: Truth) -> None:
    truth.faulted("gpu1", Fault(crash=True), 1.0)
    truth.faulted("gpu0", HOT, 2.0)
    assert states(truth, 3.0)["i915 card0-0"] == {HEALTHY, UNHEALTHY}
    assert states(truth, truth.reach.settled_at())["i915 card0-0"] == {UNHEALTHY}

    truth.sidecar_restarted(4.0)
    assert states(truth, 4.0)["i915 card0-0"] == {UNHEALTHY}
    assert truth.reasons(4.0)[I915, "card0-0"] == {"temperature-global", "temperature-gpu"}
    assert (I915, "card1-0") not in truth.reasons(4.0)


def test_why_devices_are_as_they_are(truth: Truth) -> None:
    truth.pulled("gpu1", 1.0)

    assert dict(truth.reasons(2.0)) == {(I915, "card0-0"): {""}, (I915, "card1-0"): {"gone"}}
    assert list(wrong_reasons(truth, {(I915, "card0-0"): frozenset({""})}, 2.0)) == [
        "gpu.intel.com/i915 card1-0 has reasons [], expected ['gone']"
    ]


def test_what_the_sidecar_has_to_say_of_gpus_and_their_pods(truth: Truth) -> None:
    gpus = {name: gpu for name, gpu in truth.present.items() if isinstance(gpu, Gpu)}
    truth.pods["p"] = frozenset({(I915, "card1-0")})
    truth.faulted("gpu1", Fault(memory_health="degraded", temperature=88), 1.0)
    page = sidecar_page(
        """
        hw_gpu_info{pci_bdf="0000:12:00.0"} 1
        hw_gpu_info{pci_bdf="0000:22:00.0",pod="p"} 1
        hw_status{pci_bdf="0000:12:00.0",hw_type="gpu",hw_state="ok"} 1
        hw_status{pci_bdf="0000:22:00.0",hw_type="gpu",hw_state="ok"} 0
        hw_status{pci_bdf="0000:22:00.0",hw_type="gpu",hw_state="degraded"} 1
        hw_temperature_celsius{pci_bdf="0000:12:00.0",location="global"} 45
        hw_temperature_celsius{pci_bdf="0000:22:00.0",location="global"} 88
        xpu_gpu_allocation_info{pci_bdf="0000:22:00.0",pod="p",resource="gpu.intel.com/i915"} 1
        xpu_source_up 1
        """
    )
    assert not list(wrong_on_page(truth, gpus, page, 2.0))

    truth.deleted("p")
    truth.faulted("gpu1", HOT, 3.0)
    truth.pulled("gpu0", 3.0)
    assert list(wrong_on_page(truth, gpus, page, 4.0)) == [
        "0000:12:00.0 is ok, expected absent",
        "0000:22:00.0 is degraded, expected ok",
        "0000:22:00.0 measures 88 °C, expected 112",
        "Share(pci_address='0000:22:00.0', pod='p', resource='gpu.intel.com/i915') is there, and is not so",
        "0000:22:00.0 is said to work for p, expected nobody",
    ]


def test_labels_are_certain_once_every_gpu_is_found(truth: Truth) -> None:
    truth.faulted("gpu1", Fault(memory_health="degraded"), 1.0)
    each = (16 << 30) - (16 << 22)
    found = {
        "gpu.intel.com/memory.max": str(2 * each),
        "gpu.intel.com/xpu-health": "degraded",
        "gpu.intel.com/xpu-card0.health": "ok",
        "gpu.intel.com/xpu-card1.health": "degraded",
        "gpu.intel.com/xpu-card0.memory": str(each),
        "gpu.intel.com/xpu-card1.memory": str(each),
        "gpu.intel.com/xpu-model": "of which nothing is said here",
    }
    assert not list(wrong_labels(truth, found, 2.0))

    truth.pulled("gpu1", 3.0)
    truth.plugged("gpu1", Gpu(card=1), 3.0)
    truth.faulted("gpu1", WELL, 3.0)
    assert not list(wrong_labels(truth, found, 4.0))
    assert len(list(wrong_labels(truth, found, truth.reach.settled_at()))) == 2

    truth.pulled("gpu1", 60.0)
    assert list(wrong_labels(truth, found, 60.0)) == [
        f"gpu.intel.com/memory.max is {2 * each}, expected {each}",
        "gpu.intel.com/xpu-card1.health is degraded, expected None",
        f"gpu.intel.com/xpu-card1.memory is {each}, expected None",
        "gpu.intel.com/xpu-health is degraded, expected ok",
    ]


@pytest.mark.parametrize(
    ("growing", "flat"),
    [({}, True), ({"descriptors": 1}, False), ({"threads": 1}, False), ({"memory": 0.3}, False)],
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
