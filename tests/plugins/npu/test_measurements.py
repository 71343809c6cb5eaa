"""NPUs on the metrics page."""

from hypothesis import given
from hypothesis import strategies as st

from handmade_npus import HandmadeNpus
from xpu_plugins.npu.measurements import Busy, utilization
from xpu_plugins.npu.plugin import NpuPlugin
from xpu_shared.kernel.uevents import Uevent
from xpu_shared.plugin import Measures

KEY = ("accel0", "0000:00:0b.0")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def samples(plugin: NpuPlugin) -> dict[str, dict[tuple[str, ...], float]]:
    assert isinstance(plugin, Measures)
    return {gauge.name: dict(gauge.samples) for gauge in plugin.measure()}


def test_what_the_kernel_tells(npus: HandmadeNpus) -> None:
    device = npus.add(
        attributes={
            "npu_busy_time_us": "5000000",
            "npu_memory_utilization": "1048576",
            "npu_current_frequency_mhz": "0",
            "npu_max_frequency_mhz": "1400",
            "sched_mode": "HW",
        }
    )
    clock = Clock()
    plugin = npus.plugin(clock=clock)
    plugin.heard(
        Uevent(
            action="change",
            devpath="/devices/pci0000:00/0000:00:0b.0",
            subsystem="pci",
            variables={"IVPU_PM_EVENT": "IVPU_RECOVER"},
        )
    )
    plugin.scan()
    first = samples(plugin)
    clock.now += 10
    (device / "npu_busy_time_us").write_text("7500000\n")
    second = samples(plugin)

    assert first["npu_info"] == {(*KEY, "0x643e", "HW"): 1}
    assert first["npu_utilization_ratio"] == {}
    assert first["npu_memory_used_bytes"] == {KEY: 1048576}
    assert (first["npu_frequency_hertz"], first["npu_max_frequency_hertz"]) == ({KEY: 0}, {KEY: 1_400_000_000})
    assert first["npu_resets"] == {KEY: 1}
    assert second["npu_utilization_ratio"] == {KEY: 0.25}


def test_an_older_kernel_tells_nothing(npus: HandmadeNpus) -> None:
    npus.add(attributes={"npu_busy_time_us": "much"})
    plugin = npus.plugin()
    plugin.scan()
    found = samples(plugin)

    assert {name for name, values in found.items() if values} == {"npu_info", "npu_resets"}
    assert samples(npus.plugin())["npu_info"] == {}  # not scanned yet


def test_a_counter_that_starts_anew_is_no_utilization() -> None:
    assert utilization(Busy(100, 0.0), Busy(99, 10.0)) is None
    assert utilization(Busy(100, 5.0), Busy(100, 5.0)) is None
    assert utilization(None, Busy(1, 1.0)) is None
    assert utilization(Busy(1, 1.0), None) is None


@given(
    st.integers(min_value=0, max_value=2**63),
    st.integers(min_value=0, max_value=2**63),
    st.floats(min_value=0, max_value=1e9),
    st.floats(min_value=0, max_value=1e9),
)
def test_it_is_a_part_of_one(before: int, now: int, earlier: float, later: float) -> None:
    ratio = utilization(Busy(before, earlier), Busy(now, later))

    assert ratio is None or 0 <= ratio <= 1
