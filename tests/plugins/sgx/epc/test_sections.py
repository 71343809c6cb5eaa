"""The EPC out of register dumps: the specification's worked examples and its bad input."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_plugins.sgx.epc.sections import Cpuid, Registers, read_epc

ZERO: Registers = (0, 0, 0, 0)
ONE_SECTION: Registers = (0x70C00001, 0x20, 0x7F400001, 0)


def processor(sections: Mapping[int, Registers], *, highest: int = 0x20, ebx: int = 1 << 2) -> Cpuid:
    """CPUID of a processor with SGX; a sub-leaf that is not named is zero."""

    def cpuid(leaf: int, subleaf: int) -> Registers:
        match leaf:
            case 0:
                return (highest, 0x756E6547, 0x6C65746E, 0x49656E69)
            case 7:
                return (0, ebx, 1 << 30, 0)
            case 0x12:
                return sections.get(subleaf, ZERO)
        raise AssertionError(f"leaf {leaf:#x} is not needed")

    return cpuid


def test_example_e1_two_sections() -> None:
    epc = read_epc(processor({2: ONE_SECTION, 3: (0x80000001, 0xFFF00041, 0x00000001, 3), 4: ZERO}))

    assert [(section.base, section.size, section.protection) for section in epc.sections] == [
        (0x2070C00000, 2_134_900_736, 1),
        (0x4180000000, 12_884_901_888, 1),
    ]
    assert epc.total == 15_019_802_624
    assert epc.warnings == ()


def test_example_e2_an_unknown_type_in_the_middle_is_told_and_not_counted() -> None:
    sections = {
        2: (0x00200001, 0x1C, 0x05D80001, 0),
        3: (0x00000002, 0, 0x40000000, 0),
        4: (0x10000001, 0x3C, 0x08000002, 0),
    }
    epc = read_epc(processor(sections))

    assert epc.total == 232_259_584
    assert len(epc.warnings) == 1
    assert "sub-leaf 3: expected type 1, found 2" in epc.warnings[0]


@pytest.mark.parametrize("highest", [0, 6, 7, 0x11])
def test_a_processor_without_the_leaf_has_none(highest: int) -> None:
    epc = read_epc(processor({2: ONE_SECTION}, highest=highest))

    assert epc.total == 0
    assert f"highest CPUID leaf is {highest:#x}" in epc.reason


def test_a_processor_whose_sgx_is_switched_off_has_none() -> None:
    epc = read_epc(processor({2: ONE_SECTION}, ebx=0))

    assert (epc.total, "switched off" in epc.reason) == (0, True)


def test_without_valid_sections_there_is_none() -> None:
    epc = read_epc(processor({}))

    assert (epc.total, epc.reason) == (0, "CPUID leaf 0x12 tells no section with a size")


def test_a_section_without_size_is_ignored() -> None:
    epc = read_epc(processor({2: (1, 0, 1, 0), 3: ONE_SECTION}))

    assert [section.subleaf for section in epc.sections] == [3]


def test_sections_that_overlap_are_counted_and_told() -> None:
    epc = read_epc(processor({2: ONE_SECTION, 3: ONE_SECTION}))

    assert epc.total == 2 * 2_134_900_736
    assert "sub-leaves 2 and 3 overlap" in epc.warnings[0]


def test_reserved_bits_are_ignored() -> None:
    epc = read_epc(processor({2: (0x70C00FF1, 0xFFF00020, 0x7F400FF1, 0xFFF00000)}))

    assert (epc.sections[0].base, epc.total) == (0x2070C00000, 2_134_900_736)


def test_after_eight_sections_it_stops_and_says_so() -> None:
    sections = {subleaf: (subleaf << 20 | 1, 0, 0x1001, 0) for subleaf in range(2, 20)}
    epc = read_epc(processor(sections))

    assert (epc.total, len(epc.sections)) == (8 * 0x1000, 8)
    assert "no end up to sub-leaf 9" in epc.warnings[0]


@given(st.dictionaries(st.integers(2, 12), st.tuples(*[st.integers(0, 2**32 - 1)] * 4)))
def test_whatever_registers_say_the_total_is_the_sum_of_the_sections(sections: dict[int, Registers]) -> None:
    epc = read_epc(processor(sections))

    assert epc.total == sum(section.size for section in epc.sections)
    assert len(epc.sections) <= 8
    assert bool(epc.reason) is (epc.total == 0)
