"""What becomes of an NPU that its driver had to reset."""

from hypothesis import given
from hypothesis import strategies as st

from handmade_npus import HandmadeNpus
from scans import device
from xpu_plugins.npu.health import Reset, Resets, counted, held_off_for, is_reset, reason
from xpu_shared.device import Health
from xpu_shared.kernel.uevents import Uevent, parse

NPU = "/devices/pci0000:00/0000:00:0b.0"
OTHER = "/devices/pci0000:00/0000:00:0c.0"


def recovered(devpath: str = NPU, **variables: str) -> Uevent:
    given = {"IVPU_PM_EVENT": "IVPU_RECOVER", **variables}
    return Uevent(action="change", devpath=devpath, subsystem="pci", variables=given)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_drivers_event_is_a_reset_and_others_are_not() -> None:
    text = f"change@{NPU}\0ACTION=change\0DEVPATH={NPU}\0SUBSYSTEM=pci\0IVPU_PM_EVENT=IVPU_RECOVER\0"

    assert is_reset(parse(text.encode()))
    assert not is_reset(recovered(IVPU_PM_EVENT="IVPU_SUSPEND"))
    assert not is_reset(Uevent(action="change", devpath=NPU, subsystem="pci"))


def test_resets_count_for_the_npu_that_the_event_is_of_or_below() -> None:
    heard = [Reset(NPU, 1.0), Reset(f"{NPU}/accel/accel0", 2.0), Reset(f"{NPU}0", 3.0), Reset("/devices", 4.0)]

    assert counted({}, heard, [NPU, OTHER]) == {NPU: Resets(2, 2.0)}
    assert counted({NPU: Resets(2, 2.0), "/gone": Resets(9, 2.0)}, [Reset(NPU, 5.0)], [NPU]) == {NPU: Resets(3, 5.0)}


@given(
    last=st.floats(min_value=0, max_value=1e9),
    hold_off=st.floats(min_value=0, max_value=1e6),
    passed=st.floats(min_value=0, max_value=1e7),
)
def test_the_hold_off_ends_and_is_never_longer_than_it_is(last: float, hold_off: float, passed: float) -> None:
    left = held_off_for(Resets(1, last), hold_off=hold_off, now=last + passed)

    assert 0 <= left <= hold_off + 1e-6
    assert left == 0 or passed <= hold_off + 1e-6


def test_an_npu_that_was_never_reset_is_not_held_off() -> None:
    assert held_off_for(None, hold_off=60, now=0) == 0


def test_the_reason_counts() -> None:
    assert reason(Resets(1, 0.0)) == "its driver had to reset it, once since the plugin has started"
    assert reason(Resets(3, 0.0)) == "its driver had to reset it, 3 times since the plugin has started"


def test_a_reset_npu_is_unhealthy_until_the_hold_off_is_over(npus: HandmadeNpus) -> None:
    npus.add("accel0")
    npus.add("accel1")
    clock = Clock()
    plugin = npus.plugin(clock=clock, shared_dev_num=2, reset_hold_off=30.0)
    assert plugin.scan().scan_again_in is None

    plugin.heard(recovered())
    clock.now += 10
    result = plugin.scan()
    assert [device.health for device in result.devices["accel"]] == [Health.UNHEALTHY] * 2 + [Health.HEALTHY] * 2
    assert device(result, "accel0-1").reason == "its driver had to reset it, once since the plugin has started"
    assert result.scan_again_in == 20

    plugin.heard(recovered())
    clock.now += 29
    result = plugin.scan()
    assert "2 times" in device(result, "accel0-0").reason
    assert result.scan_again_in == 1

    clock.now += 1
    result = plugin.scan()
    assert device(result, "accel0-0").health is Health.HEALTHY
    assert result.scan_again_in is None


def test_without_a_hold_off_a_reset_changes_nothing(npus: HandmadeNpus) -> None:
    npus.add("accel0")
    plugin = npus.plugin(reset_hold_off=0.0)
    plugin.heard(recovered())

    assert device(plugin.scan(), "accel0-0").health is Health.HEALTHY


def test_a_flood_of_events_is_no_flood_of_memory(npus: HandmadeNpus) -> None:
    npus.add("accel0")
    plugin = npus.plugin()
    for _ in range(3000):
        plugin.heard(recovered())

    assert "1000 times" in device(plugin.scan(), "accel0-0").reason
