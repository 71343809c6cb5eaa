"""The resources for programs that watch all cards of a node."""

import pytest

from handmade_gpus import HandmadeGpus, container_paths, ids, told
from xpu_shared.device import DeviceNode, Health


@pytest.fixture
def mixed(gpus: HandmadeGpus) -> HandmadeGpus:
    gpus.card("card0", driver="i915")
    xe = gpus.card("card1", path="pci0000:00/0000:00:03.0", driver="xe")
    (xe / "xe.mei-gscfi.768/mei/mei3").mkdir(parents=True)
    (xe / "xe.mei-gsc.768/mei/mei2").mkdir(parents=True)
    return gpus


def test_it_is_off_by_default(mixed: HandmadeGpus) -> None:
    assert ids(mixed.scan()) == {"i915": ["card0-0"], "xe": ["card1-0"]}


def test_one_device_has_the_files_of_all_cards(mixed: HandmadeGpus) -> None:
    result = mixed.scan(enable_monitoring=True, shared_dev_num=2)

    assert ids(result)["monitoring"] == ["all"]
    assert container_paths(result.devices["monitoring"][0]) == [
        "/dev/dri/card0",
        "/dev/dri/renderD128",
        "/dev/dri/card1",
        "/dev/dri/renderD129",
        "/dev/mei2",
        "/dev/mei3",
    ]


def test_split_has_a_device_per_driver(mixed: HandmadeGpus) -> None:
    result = mixed.scan(enable_monitoring=True, monitoring_mode="split")

    assert set(ids(result)) == {"i915", "xe", "i915_monitoring", "xe_monitoring"}
    assert container_paths(result.devices["i915_monitoring"][0]) == ["/dev/dri/card0", "/dev/dri/renderD128"]
    assert container_paths(result.devices["xe_monitoring"][0])[2:] == ["/dev/mei2", "/dev/mei3"]


def test_it_is_healthy_and_names_no_numa_node(mixed: HandmadeGpus) -> None:
    for mode in ("single", "split"):
        result = mixed.scan(enable_monitoring=True, monitoring_mode=mode)
        for device_type in result.devices.keys() - {"i915", "xe"}:
            (device,) = result.devices[device_type]
            assert (device.health, device.numa_nodes, device.mounts, device.cdi) == (Health.HEALTHY, (), (), None)


def test_the_management_engine_is_for_monitoring_only(mixed: HandmadeGpus) -> None:
    result = mixed.scan(enable_monitoring=True)

    assert container_paths(result.devices["xe"][0]) == ["/dev/dri/card1", "/dev/dri/renderD129"]
    assert result.devices["monitoring"][0].nodes[-1] == DeviceNode(
        host_path="/dev/mei3", container_path="/dev/mei3", permissions="rw"
    )


@pytest.mark.parametrize("name", ["mei", "mei1x", "MEI1", "mei\u0661", "mei1\n", "..", "sda"])
def test_other_names_are_no_management_engine(gpus: HandmadeGpus, name: str) -> None:
    directory = gpus.card("card0") / "i915.mei-gsc.1/mei"
    (directory / name).mkdir(parents=True, exist_ok=True)
    result = gpus.scan(enable_monitoring=True)

    assert container_paths(result.devices["monitoring"][0]) == ["/dev/dri/card0", "/dev/dri/renderD128"]
    assert not result.problems


def test_a_client_without_engine_has_none_and_trouble_with_one_is_told(gpus: HandmadeGpus) -> None:
    (gpus.card("card0") / "i915.mei-gsc.1").mkdir()
    (gpus.card("card1", path="pci0000:00/0000:00:03.0") / "i915.mei-gsc.2").symlink_to("i915.mei-gsc.2")
    result = gpus.scan(enable_monitoring=True)

    assert ids(result) == {"i915": ["card0-0", "card1-0"], "monitoring": ["all"]}
    ((subject, text),) = told(result)
    assert subject == "card1"
    assert "i915.mei-gsc.2/mei" in text


def test_without_a_card_there_is_nothing_to_monitor(gpus: HandmadeGpus) -> None:
    gpus.card("card0", attributes={"vendor": "0x1002"})

    assert gpus.scan(enable_monitoring=True).devices == {}
