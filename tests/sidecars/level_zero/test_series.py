from collections import Counter
from dataclasses import replace

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from sidecars.level_zero.readings import GIB, gpu
from xpu_shared.kubelet.holders import Holder
from xpu_shared.telemetry.kinds import MemoryHealth, RasSeverity
from xpu_shared.telemetry.readings import DeviceReading, DeviceSnapshot, MemoryModule, RasErrorSet
from xpu_sidecars.level_zero.attribution import Attribution, Share
from xpu_sidecars.level_zero.series import NO_POD, series

BDF, OTHER = "0000:03:00.0", "0000:12:00.0"
TRAIN = Holder("ai", "train", "main")


def page(*devices: DeviceReading, attribution: Attribution | None = None, known: float | None = None) -> str:
    return series(
        DeviceSnapshot(devices=devices),
        attribution or Attribution(),
        present=frozenset({BDF}),
        taken=1_800_000_000.0,
        holders_known=known,
        interval=1.0,
    ).text(openmetrics=False)


def samples(text: str, name: str) -> dict[frozenset[tuple[str, str]], float]:
    """The values of a metric by labels, without empty ones and those of the device itself."""
    metrics: list[Metric] = list(parse_text(text))
    return {
        frozenset(
            item for item in sample.labels.items() if item[1] and item[0] not in ("pci_bdf", "hw_id")
        ): sample.value
        for metric in metrics
        for sample in metric.samples
        if sample.name == name
    }


def where(**labels: str) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


def test_every_series_that_must_exist_does_with_its_labels() -> None:
    text = page(gpu())

    assert samples(text, "hw_temperature_celsius") == {
        where(subdevice_id="0", location="gpu"): 61.5,
        where(subdevice_id="1", location="gpu"): 59.0,
    }
    assert samples(text, "hw_power_watts") == {where(location="card"): 100.0}
    assert samples(text, "hw_energy_joules_total") == {where(location="card"): 155.0}
    assert samples(text, "hw_gpu_utilization_ratio")[where(subdevice_id="0", hw_gpu_task="compute_all")] == 0.45
    memory = where(subdevice_id="0", location="device", type="hbm")
    assert samples(text, "hw_memory_usage_bytes")[memory] == 16 * GIB
    assert samples(text, "hw_memory_size_bytes")[memory] == 64 * GIB
    assert samples(text, "hw_frequency_hertz") == {where(subdevice_id="0", location="gpu"): 1.6e9}
    assert samples(text, "hw_errors_total") == {
        where(hw_type="gpu", subdevice_id="0", error_type="uncorrectable", error_category="memory"): 2,
        where(hw_type="gpu", subdevice_id="0", error_type="uncorrectable", error_category="resets"): 0,
    }
    assert samples(text, "hw_status")[where(hw_type="gpu", hw_state="ok")] == 1
    assert (
        f'hw_power_watts{{pci_bdf="{BDF}",hw_id="01020304-0506-0708-090a-0b0c0d0e0f10",{NO_POD},location="card"}} 100.0'
        in text
    )


def test_a_value_that_is_not_known_has_no_series() -> None:
    nothing = DeviceReading(pci_address=BDF)

    text = page(nothing)
    assert f'hw_gpu_info{{pci_bdf="{BDF}",{NO_POD}}} 1' in text
    names = {line.partition("{")[0] for line in text.splitlines() if BDF in line}
    assert names == {"hw_gpu_info"}


def test_the_newest_sample_has_a_time_that_stays_true() -> None:
    text = page(gpu(age=2.5))

    assert f'xpu_sample_timestamp_seconds{{pci_bdf="{BDF}"}} 1799999997.5' in text
    assert "xpu_snapshot_timestamp_seconds 1800000000.0" in text


def test_a_state_has_one_series_a_word_and_only_one_is_1() -> None:
    failed = replace(gpu().memory[0], health=MemoryHealth.REPLACE)
    text = page(gpu(memory=(failed,)))

    states = samples(text, "hw_status")
    place = {"hw_type": "memory", "subdevice_id": "0", "location": "device", "type": "hbm"}
    found = {word: states[where(**place, hw_state=word)] for word in ("ok", "degraded", "critical", "replace")}
    assert found == {"ok": 0, "degraded": 0, "critical": 0, "replace": 1}


def test_components_that_are_alike_are_numbered() -> None:
    engines = samples(page(gpu()), "hw_gpu_utilization_ratio")

    assert engines[where(subdevice_id="0", hw_gpu_task="compute", index="0")] == 0.5
    assert engines[where(subdevice_id="0", hw_gpu_task="compute", index="1")] == 0.4


def test_no_page_has_a_series_twice_however_alike_components_are() -> None:
    twice = gpu()
    same = replace(
        twice,
        temperatures=twice.temperatures * 2,
        memory=(MemoryModule(size_bytes=1, health=MemoryHealth.OK),) * 3,
        ras=(RasErrorSet(severity=RasSeverity.CORRECTABLE, resets=1),) * 2,
        power=twice.power * 2,
        firmwares=twice.firmwares * 2,
        frequencies=twice.frequencies * 2,
    )
    lines = [line.rpartition(" ")[0] for line in page(same).splitlines() if not line.startswith("#")]

    assert [line for line, count in Counter(lines).items() if count > 1] == []


def test_throttling_has_a_series_a_reason() -> None:
    throttled = samples(page(gpu()), "hw_frequency_throttle_status")

    assert throttled[where(subdevice_id="0", location="gpu", reason="thermal_limit")] == 1
    assert sum(throttled.values()) == 1


def test_an_exclusive_holder_is_on_all_series_of_its_gpu_and_on_no_other() -> None:
    attribution = Attribution(shares=(Share(BDF, TRAIN, "gpu.intel.com/xe"),), exclusive={BDF: TRAIN})

    lines = page(gpu(), gpu(OTHER), attribution=attribution).splitlines()
    pod = 'namespace="ai",pod="train",container="main"'
    own = [line for line in lines if BDF in line and not line.startswith("xpu_sample")]
    assert own
    assert all(pod in line for line in own)
    other = [line for line in lines if OTHER in line and line.startswith("hw_")]
    assert other
    assert all(NO_POD in line for line in other)
    assert f'xpu_gpu_allocation_info{{pci_bdf="{BDF}",{pod},resource="gpu.intel.com/xe"}} 1' in lines


def test_a_shared_gpu_has_one_device_series_and_one_allocation_a_holder() -> None:
    shares = tuple(Share(BDF, Holder("ai", pod, "main"), "gpu.intel.com/xe") for pod in ("a", "b"))

    text = page(gpu(), attribution=Attribution(shares=shares))
    assert len(samples(text, "hw_power_watts")) == 1
    assert len(samples(text, "xpu_gpu_allocation_info")) == 2
    assert all(NO_POD in line for line in text.splitlines() if line.startswith("hw_"))


def test_a_device_that_is_gone_has_no_series_not_even_of_its_holders() -> None:
    shares = (Share(OTHER, TRAIN, "gpu.intel.com/xe"),)

    assert OTHER not in page(gpu(), attribution=Attribution(shares=shares, exclusive={OTHER: TRAIN}))


def test_the_time_of_the_kubelets_answer_is_there_once_it_has_answered() -> None:
    assert "xpu_pod_resources" not in page(gpu())
    assert "xpu_pod_resources_last_success_timestamp_seconds 1799999999.5" in page(gpu(), known=1_799_999_999.5)


def test_texts_of_a_driver_cannot_break_the_page() -> None:
    odd = gpu(model='Max "1550"\n\\ # HELP x', serial_number="\u00e9\u4e2d")

    for openmetrics in (False, True):
        text = series(
            DeviceSnapshot(devices=(odd,)),
            Attribution(),
            present=frozenset(),
            taken=1.0,
            holders_known=None,
            interval=1.0,
        ).text(openmetrics=openmetrics)
        parsed = parse_openmetrics(text) if openmetrics else parse_text(text)
        (info,) = [metric for metric in parsed if metric.name == "hw_gpu_info"]
        assert info.samples[0].labels["hw_model"] == odd.model
        assert info.samples[0].labels["hw_serial_number"] == odd.serial_number
