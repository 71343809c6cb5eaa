"""What the metrics page shows of devices and queues."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handmade_idxd import HandmadeIdxd, write
from xpu_shared.idxd.accelerator import DSA, IAA
from xpu_shared.idxd.measurements import bits, measure
from xpu_shared.kernel.sysfs import MalformedAttributeError
from xpu_shared.plugin import Measures

DEVICE = ("dsa2", "0000:6a:01.0", "1")


@pytest.fixture
def measured(node: HandmadeIdxd) -> HandmadeIdxd:
    device = node.device("dsa2", attributes={"errors": "00000000,00000103"})
    node.queue(device, "wq2.0", attributes={"clients": "3", "occupancy": "12"})
    node.queue(device, "wq2.1", minor=5, attributes={"state": "disabled", "clients": "0"}, file=False, link=False)
    return node


def series(node: HandmadeIdxd) -> dict[str, dict[tuple[str, ...], float]]:
    return {gauge.name: dict(gauge.samples) for gauge in measure(DSA, node.sysfs)}


def test_devices_and_queues_have_their_numbers(measured: HandmadeIdxd) -> None:
    assert series(measured) == {
        "idxd_device_state": {(*DEVICE, "enabled"): 1},
        "idxd_device_errors": {DEVICE: 3},
        "idxd_wq_state": {(*DEVICE, "wq2.0", "enabled"): 1, (*DEVICE, "wq2.1", "disabled"): 1},
        "idxd_wq_clients": {(*DEVICE, "wq2.0"): 3, (*DEVICE, "wq2.1"): 0},
        "idxd_wq_occupancy": {(*DEVICE, "wq2.0"): 12},
    }


def test_labels_are_as_many_as_their_names(measured: HandmadeIdxd) -> None:
    for gauge in measure(DSA, measured.sysfs):
        assert all(len(values) == len(gauge.labels) for values, _ in gauge.samples)


def test_each_plugin_measures_its_own_devices(measured: HandmadeIdxd) -> None:
    assert isinstance(measured.plugin(), Measures)
    assert not any(gauge.samples for gauge in measure(IAA, measured.sysfs))


@pytest.mark.parametrize("content", ["", "x", "-", "00000000,", "0x", "\x00"])
def test_what_is_no_number_has_no_series(measured: HandmadeIdxd, content: str) -> None:
    device = measured.sysfs / "bus/dsa/devices/dsa2"
    write(device, {"errors": content, "state": content})
    write(device / "wq2.0", {"clients": content, "occupancy": content, "state": content})

    found = series(measured)

    assert found["idxd_device_state"] == found["idxd_device_errors"] == found["idxd_wq_occupancy"] == {}
    assert found["idxd_wq_clients"] == {(*DEVICE, "wq2.1"): 0}


@given(st.integers(0, 2**128 - 1))
def test_bits_are_counted_over_all_words(tmp_path_factory: pytest.TempPathFactory, number: int) -> None:
    attribute = tmp_path_factory.mktemp("bits") / "errors"
    text = f"{number:032x}"
    attribute.write_text(",".join(text[place : place + 8] for place in range(0, 32, 8)) + "\n")

    assert bits(str(attribute)) == number.bit_count()


def test_what_is_no_bit_list_is_told(tmp_path: Path) -> None:
    (tmp_path / "errors").write_text("many\n")

    with pytest.raises(MalformedAttributeError, match="expected a bit list"):
        bits(str(tmp_path / "errors"))
