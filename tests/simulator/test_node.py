from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from xpu_simulator.families.gpu.models import MODELS
from xpu_simulator.node import Gpu, Node


def test_a_gpu_needs_no_field() -> None:
    gpu = Gpu()
    assert (gpu.name, gpu.card, gpu.render, gpu.pci_id, gpu.driver) == ("gpu0", 0, 128, 0x56C0, "i915")


def test_a_model_brings_its_id_driver_and_tiles() -> None:
    gpu = Gpu(model="max-1550")
    assert (gpu.pci_id, gpu.driver, gpu.tiles) == (0x0BD5, "i915", 2)
    assert Gpu(model="arc-b580").driver == "xe"


def test_a_known_pci_id_is_as_good_as_the_models_name() -> None:
    assert Gpu(pci_id=0xE20B).driver == "xe"
    assert Gpu.model_validate({"pci_id": "0xe20b"}).driver == "xe"


def test_an_integrated_gpu_is_where_integrated_gpus_are_and_has_no_security_controller() -> None:
    gpu = Gpu(model="iris-xe", card=3)
    assert (gpu.pci_address, gpu.bridges, gpu.mei) == ("0000:00:02.0", [], [])


def test_cards_are_numbered_in_order_and_virtual_functions_count() -> None:
    node = Node.model_validate({"gpus": [{}, {"vfs": 2}, {}, {"card": 9}, {}]})
    assert [gpu.card for gpu in node.gpus] == [0, 1, 4, 9, 10]


def test_a_long_name_leaves_room_for_virtual_functions() -> None:
    assert Node.model_validate({"gpus": [{"name": "x" * 63, "vfs": 2}]}).gpus[0].name == "x" * 63


def test_virtual_functions_follow_on_the_bus() -> None:
    gpu = Gpu(pci_address="0000:4d:00.0", vfs=8)
    addresses = [function.pci_address for function in gpu.virtual_functions]
    assert addresses[0] == "0000:4d:00.1"
    assert addresses[6:] == ["0000:4d:00.7", "0000:4d:01.0"]
    assert Gpu(pci_address="0000:4d:1f.7", vfs=1).virtual_functions[0].pci_address == "0000:4e:00.0"


@settings(deadline=None)
@given(
    count=st.integers(0, 128), model=st.sampled_from([name for name, model in MODELS.items() if not model.integrated])
)
def test_any_number_of_cards_of_a_model_gets_along(count: int, model: str) -> None:
    node = Node.model_validate({"gpus": [{"model": model} for _ in range(count)]})
    assert len({gpu.pci_address for gpu in node.gpus}) == count


def test_a_foreign_card_may_have_any_driver_and_no_render_node() -> None:
    gpu = Gpu(vendor=0x1A03, pci_id=0x2000, driver="ast", render="none")
    assert (gpu.render, gpu.mei) == ("none", [])


def test_a_gpu_is_found_by_its_name() -> None:
    node = Node.model_validate({"gpus": [{}, {"name": "left"}]})
    assert node.gpu("left").card == 1
    with pytest.raises(KeyError, match="no GPU 'right'; there are gpu0, left"):
        node.gpu("right")


@pytest.mark.parametrize(
    ("gpu", "error"),
    [
        ({"modell": "flex-170"}, "modell"),
        ({"model": "flex-171"}, "the known models are dg1, flex-140"),
        ({"model": 170}, "model"),
        ({"pci_id": "56c0h"}, "0x and four hexadecimal digits"),
        ({"pci_id": 0x10000}, "65535"),
        ({"vendor": -1}, "vendor"),
        ({"driver": "i195"}, "driver 'i195': Intel's cards have i915, xe, vfio-pci"),
        ({"vf_driver": "nouveau"}, "driver 'nouveau'"),
        ({"vendor": 0x10DE, "pci_id": 1, "driver": "../x"}, "driver"),
        ({"name": "../../etc"}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": ""}, "name"),
        ({"card": -1}, "card"),
        ({"card": 128}, "less than or equal to 127"),
        ({"card": 120, "vfs": 8}, "card 120 with 8 virtual functions: card numbers end at 127"),
        ({"pci_address": "0000:ff:1f.7", "vfs": 1}, "no room for 1 virtual functions behind 0000:ff:1f.7"),
        ({"card": "0"}, "card"),
        ({"card": True}, "card"),
        ({"render": "nothing"}, "expected a number from 128 to 255, or none"),
        ({"render": 127}, "expected a number from 128 to 255, or none"),
        ({"render": True}, "expected a number from 128 to 255, or none"),
        ({"pci_address": "17:00.0"}, "pci_address"),
        ({"pci_address": "0000:17:00.8"}, "pci_address"),
        ({"pci_address": "0000:17:20.0"}, "pci_address"),
        ({"pci_address": "0000:1G:00.0"}, "pci_address"),
        ({"pci_address": "0000:17:00.0\n"}, "pci_address"),
        ({"pci_address": 1020.0}, "needs quotes"),
        ({"bridges": ["0000:15"]}, "bridges"),
        ({"numa_node": -2}, "numa_node"),
        ({"numa_node": 1.5}, "numa_node"),
        ({"vfs": -1}, "vfs"),
        ({"vfs": 128}, "vfs"),
        ({"tiles": 0}, "tiles"),
        ({"by_path": "single"}, "by_path"),
        ({"mei": [1, 2, 3]}, "mei"),
        ("flex-170", "gpus"),
    ],
)
def test_a_bad_value_is_refused_by_name(gpu: Any, error: str) -> None:
    with pytest.raises(ValidationError, match=error):
        Node.model_validate({"gpus": [gpu]})


@pytest.mark.parametrize(
    ("gpus", "error"),
    [
        ([{"card": 1}, {"card": 1}], "card 1 is that of gpus.0 and of gpus.1"),
        ([{"vfs": 2}, {"card": 2}], "card 2 is that of virtual function 2 of gpus.0 and of gpus.1"),
        ([{"render": 128}, {"render": 128}], "render 128 is that of gpus.0 and of gpus.1"),
        ([{"name": "a"}, {"name": "a"}], "name a is that of"),
        ([{"pci_address": "0000:17:00.0"}, {"pci_address": "0000:17:00.0"}], "pci_address 0000:17:00.0 is that of"),
        ([{"mei": [5]}, {"mei": [5]}], "mei 5 is that of"),
        ([{"model": "iris-xe"}, {"model": "uhd-770"}], "pci_address 0000:00:02.0 is that of"),
    ],
)
def test_what_only_one_card_can_have_is_not_given_twice(gpus: list[dict[str, Any]], error: str) -> None:
    with pytest.raises(ValidationError, match=error):
        Node.model_validate({"gpus": gpus})


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["gpus", "card", "vfs", "model"]), inner)
        ),
    )
)
def test_no_description_breaks_the_check(value: object) -> None:
    with suppress(ValidationError):
        Node.model_validate({"gpus": value})
