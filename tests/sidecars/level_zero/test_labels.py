from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecars.level_zero.readings import FAILED, GIB, gpu
from xpu_shared.labels.values import LONGEST, VALUE
from xpu_shared.telemetry.kinds import Group, LinkStatus, MemoryHealth
from xpu_shared.telemetry.readings import (
    DeviceReading,
    DeviceSnapshot,
    DeviceState,
    Firmware,
    GroupStatus,
    Indicator,
    PciLink,
)
from xpu_sidecars.level_zero.cards import cards
from xpu_sidecars.level_zero.condition import Condition, condition, worst
from xpu_sidecars.level_zero.labels import is_own, labels

FIRST, SECOND = "0000:03:00.0", "0000:12:00.0"
CARDS = {0: FIRST, 10: SECOND}


def given_labels(
    *devices: DeviceReading, unread: tuple[str, ...] = (), namespace: str = "gpu.intel.com"
) -> Mapping[str, str]:
    snapshot = DeviceSnapshot(devices=devices)
    return labels(snapshot, unread=unread, cards=CARDS, namespace=namespace, interval=1.0)


def test_all_labels_of_two_cards() -> None:
    assert dict(given_labels(gpu(FIRST), gpu(SECOND, memory_ok=FAILED))) == {
        "gpu.intel.com/memory.max": str(256 * GIB),
        "gpu.intel.com/xpu-model": "Intel_R__Data_Center_GPU_Max_1550",
        "gpu.intel.com/xpu-driver-version": "1.6.33578",
        "gpu.intel.com/xpu-firmware.GFX": "PVC_1.23",
        "gpu.intel.com/xpu-health": "failed",
        "gpu.intel.com/xpu-card0.memory": str(128 * GIB),
        "gpu.intel.com/xpu-card0.health": "ok",
        "gpu.intel.com/xpu-card10.memory": str(128 * GIB),
        "gpu.intel.com/xpu-card10.health": "failed",
    }


def test_the_namespace_is_the_administrators() -> None:
    assert all(name.startswith("lab.example/") for name in given_labels(gpu(), namespace="lab.example"))


def test_a_node_without_gpus_has_no_labels() -> None:
    assert given_labels() == {}


def test_a_sum_that_misses_a_card_is_no_sum() -> None:
    assert "gpu.intel.com/memory.max" not in given_labels(gpu(FIRST), gpu(SECOND, memory=()))
    assert "gpu.intel.com/memory.max" not in given_labels(gpu(FIRST), unread=(SECOND,))


def test_an_integrated_gpu_adds_no_memory_and_takes_none_away() -> None:
    found = given_labels(gpu(FIRST), gpu(SECOND, memory=(), integrated=True))

    assert found["gpu.intel.com/memory.max"] == str(128 * GIB)
    assert "gpu.intel.com/xpu-card10.memory" not in found
    assert found["gpu.intel.com/xpu-card10.health"] == "ok"


def test_a_device_that_never_told_anything_is_unknown() -> None:
    found = given_labels(gpu(FIRST), unread=(SECOND,))

    assert (found["gpu.intel.com/xpu-health"], found["gpu.intel.com/xpu-card10.health"]) == ("unknown", "unknown")


def test_a_device_without_a_card_counts_for_the_node_only() -> None:
    found = given_labels(gpu("0000:99:00.0", soc_ok=FAILED))

    assert found["gpu.intel.com/xpu-health"] == "failed"
    assert not [name for name in found if "card" in name]


@settings(deadline=None)
@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=300))
def test_values_are_always_valid_and_names_too(model: str, version: str, firmware: str) -> None:
    found = given_labels(
        gpu(model=model, driver_version=version, firmwares=(Firmware(name=firmware, version=version),))
    )
    for name, value in found.items():
        assert VALUE.fullmatch(value), value
        assert value
        assert len(value) <= LONGEST
        part = name.partition("/")[2]
        assert VALUE.fullmatch(part), part
        assert len(part) <= LONGEST


def test_own_labels_are_those_that_begin_like_ours() -> None:
    own = is_own("gpu.intel.com")

    assert all(map(own, given_labels(gpu())))
    for foreign in ("gpu.intel.com/cards", "gpu.intel.com/memory.max2", "gpu.intel.com/xe-links", "other/xpu-health"):
        assert not own(foreign)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "ok"),
        ({"memory_ok": FAILED}, "failed"),
        ({"bus_ok": FAILED, "soc_ok": Indicator()}, "failed"),
        ({"state": DeviceState(lost_rounds=3), "age": 400.0}, "failed"),
        ({"age": 11.0}, "unknown"),
        ({"groups": {}}, "unknown"),
        ({"groups": {Group.STATE: GroupStatus()}}, "unknown"),
        ({"memory_ok": Indicator(), "bus_ok": Indicator(), "soc_ok": Indicator()}, "unknown"),
        ({"bus_ok": Indicator()}, "ok"),
        ({"pci": PciLink(status=LinkStatus.QUALITY_ISSUES)}, "degraded"),
        ({"memory": tuple(replace(module, health=MemoryHealth.DEGRADED) for module in gpu().memory)}, "degraded"),
    ],
)
def test_the_condition_of_a_device(changes: dict[str, object], expected: str) -> None:
    assert condition(gpu(**changes), interval=1.0) == expected  # type: ignore[arg-type]  # any field


def test_a_long_interval_is_no_staleness() -> None:
    assert condition(gpu(age=100.0), interval=60.0) is Condition.OK


def test_the_worst_of_nothing_is_unknown() -> None:
    assert worst([]) is Condition.UNKNOWN
    assert worst([Condition.OK, Condition.UNKNOWN]) is Condition.UNKNOWN
    assert worst([Condition.DEGRADED, Condition.UNKNOWN, Condition.OK]) is Condition.DEGRADED
    assert worst([Condition.FAILED, Condition.DEGRADED]) is Condition.FAILED


def test_cards_are_known_by_the_links_of_class_drm(tmp_path: Path) -> None:
    drm = tmp_path / "class/drm"
    drm.mkdir(parents=True)
    (drm / "card0").symlink_to(f"../../devices/pci0000:00/{FIRST}/drm/card0")
    (drm / "card1").mkdir()  # no link: its device is one
    (drm / "card1/device").symlink_to(f"../../../{SECOND}")
    (drm / "card2").mkdir()  # says nothing
    (drm / "card0-DP-1").mkdir()
    (drm / "renderD128").mkdir()

    assert cards(tmp_path) == {0: FIRST, 1: SECOND}
    assert cards(tmp_path / "absent") == {}
