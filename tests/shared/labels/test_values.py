from itertools import combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xpu_shared.labels.values import MOST_CHUNKS, VALUE, UnsplittableError, fitting, is_namespace, labels, split


def linked(devices: range) -> str:
    """The link text of devices with two tiles each, equal tiles fully linked."""
    return "_".join(f"{low}.{tile}-{high}.{tile}" for low, high in combinations(devices, 2) for tile in (0, 1))


def test_four_linked_gpus_take_two_labels() -> None:
    assert labels("gpu.intel.com/xe-links", linked(range(4))) == {
        "gpu.intel.com/xe-links": "0.0-1.0_0.1-1.1_0.0-2.0_0.1-2.1_0.0-3.0_0.1-3.1_1.0-2.0_1.1-2.1",
        "gpu.intel.com/xe-links2": "Z_1.0-3.0_1.1-3.1_2.0-3.0_2.1-3.1",
    }


def test_a_cut_falls_inside_a_link_when_the_63rd_character_cannot_end_a_label() -> None:
    assert split(linked(range(8, 13))) == [
        "8.0-9.0_8.1-9.1_8.0-10.0_8.1-10.1_8.0-11.0_8.1-11.1_8.0-12.0_8",
        "Z.1-12.1_9.0-10.0_9.1-10.1_9.0-11.0_9.1-11.1_9.0-12.0_9.1-12.1",
        "Z_10.0-11.0_10.1-11.1_10.0-12.0_10.1-12.1_11.0-12.0_11.1-12.1",
    ]


def test_card_numbers_of_33_cards() -> None:
    numbers = ".".join(sorted(map(str, range(33))))

    assert split(numbers) == [
        "0.1.10.11.12.13.14.15.16.17.18.19.2.20.21.22.23.24.25.26.27.28",
        "Z.29.3.30.31.32.4.5.6.7.8.9",
    ]


def test_no_value_is_one_empty_label() -> None:
    assert labels("a/b", "") == {"a/b": ""}


@given(st.text("abcXYZ0189._-"))
@example("." * 63)
@example("a" * 126)
@example("." * 62 + "a" + "-" * 61 + "b")
def test_chunks_are_the_value_again(value: str) -> None:
    try:
        first, *further = split(value)
    except UnsplittableError:
        assert any(not set(value[start : start + 62]).intersection("abcXYZ0189") for start in range(len(value) - 61))
        return
    assert all(chunk.startswith("Z") for chunk in further)
    assert first + "".join(chunk[1:] for chunk in further) == value
    assert all(len(chunk) <= 63 for chunk in (first, *further))
    assert all(chunk[-1].isalnum() for chunk in (first, *further)[:-1])


def test_what_no_label_can_end_with_is_named() -> None:
    with pytest.raises(UnsplittableError, match=r"no letter or digit .*'\.\.\."):
        split("." * 64)


def test_more_labels_than_a_node_has_room_for_are_refused() -> None:
    assert len(split("a" * (63 + 62 * (MOST_CHUNKS - 1)))) == MOST_CHUNKS
    with pytest.raises(UnsplittableError, match=f"more than {MOST_CHUNKS} labels"):
        split("a" * (64 + 62 * (MOST_CHUNKS - 1)))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Intel(R) Data Center GPU Max 1550", "Intel_R__Data_Center_GPU_Max_1550"),
        ("1.3.29735+26", "1.3.29735_26"),
        ("--x--", "x"),
        ("é", ""),
        ("(R)", "R"),
        ("", ""),
        ("a" * 62 + ".b", "a" * 62),
    ],
)
def test_any_text_becomes_a_value(text: str, value: str) -> None:
    assert fitting(text) == value


@given(st.text())
def test_every_text_becomes_a_value_that_kubernetes_takes(text: str) -> None:
    assert VALUE.fullmatch(fitting(text))


@pytest.mark.parametrize("name", ["gpu.intel.com", "lab.example", "a", "1.2", "x" * 63])
def test_namespaces(name: str) -> None:
    assert is_namespace(name)


@pytest.mark.parametrize(
    "name", ["", "Lab.example", "a b", ".a", "a.", "a..b", "-a", "a_b", "x" * 64, "a." * 126 + "ab"]
)
def test_what_is_no_namespace(name: str) -> None:
    assert not is_namespace(name)
