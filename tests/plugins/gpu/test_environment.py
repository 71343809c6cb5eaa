"""What containers are told of their GPUs, as text."""

from xpu_plugins.gpu.environment import Facts, cards_of, environment, updated


def test_each_variable_has_an_element_for_each_gpu() -> None:
    gpus = [Facts(memory_bytes=2**34, uuid="u-1", tiles=2), Facts(memory_bytes=2**33, uuid="u-2", tiles=1)]

    assert environment(gpus) == {
        "XPU_GPU_MEMORY_BYTES": "17179869184,8589934592",
        "XPU_GPU_UUIDS": "u-1,u-2",
        "XPU_GPU_TILES": "2,1",
    }


def test_what_is_not_known_is_an_empty_element_or_no_variable() -> None:
    assert environment([Facts(), Facts(uuid="u-2")]) == {"XPU_GPU_UUIDS": ",u-2"}
    assert environment([Facts(), Facts()]) == {}
    assert environment([]) == {}


def test_cards_are_in_the_order_of_their_numbers_and_each_is_there_once() -> None:
    assert cards_of(["card10-0", "card9-3", "card9-1", "card0-12"]) == ["card0", "card9", "card10"]


def test_a_newer_message_that_says_less_takes_nothing_away() -> None:
    known = {"a": Facts(memory_bytes=1, uuid="u", tiles=2)}

    assert updated(known, {"a": Facts()}, present={"a"}) == known
    assert updated(known, {"a": Facts(memory_bytes=5)}, present={"a"}) == {
        "a": Facts(memory_bytes=5, uuid="u", tiles=2)
    }
    assert updated(known, {}, present={"a"}) == known


def test_another_gpu_has_other_facts() -> None:
    known = {"a": Facts(memory_bytes=1, uuid="u", tiles=2)}

    assert updated(known, {"a": Facts(uuid="v")}, present={"a"}) == {"a": Facts(uuid="v")}


def test_gpus_that_are_gone_are_forgotten() -> None:
    assert updated({"a": Facts(tiles=1), "b": Facts(tiles=1)}, {}, present={"b"}) == {"b": Facts(tiles=1)}
