"""Where the size is known from, on this machine and in trees."""

import platform
from pathlib import Path

import pytest

from xpu_plugins.sgx.epc.cpuid import by_device, by_instruction
from xpu_plugins.sgx.epc.sections import Epc
from xpu_plugins.sgx.epc.sources import UnknownEpcError, compared, find_epc

needs_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="CPUID is an instruction of x86-64")


def kernel(sysfs: Path, *sizes: str) -> Path:
    for number, size in enumerate(sizes):
        node = sysfs / f"devices/system/node/node{number}/x86"
        node.mkdir(parents=True)
        (node / "sgx_total_bytes").write_text(f"{size}\n")
    return sysfs


@needs_x86_64
def test_the_instruction_gives_what_the_kernel_says_of_the_processor() -> None:
    highest, *name = by_instruction()(0, 0)
    vendor = b"".join(name[place].to_bytes(4, "little") for place in (0, 2, 1)).decode()

    assert highest > 0
    assert f"vendor_id\t: {vendor}" in Path("/proc/cpuinfo").read_text()


@needs_x86_64
def test_the_instruction_and_the_device_file_agree() -> None:
    file = Path("/dev/cpu/0/cpuid")
    try:
        by_file = by_device(file)
    except OSError as error:
        pytest.skip(f"{file}: {error.strerror}")
    assert [by_file(leaf, 0)[0] for leaf in (0, 7)] == [by_instruction()(leaf, 0)[0] for leaf in (0, 7)]


def test_what_the_kernel_manages_is_the_sum_over_nodes(tmp_path: Path) -> None:
    source, epc = find_epc(("sysfs",), sysfs=kernel(tmp_path, "2134900736", "12884901888"), dev=tmp_path)

    assert (source, epc.total) == ("sysfs", 15_019_802_624)


def test_the_next_source_is_asked_when_one_does_not_answer(tmp_path: Path) -> None:
    source, epc = find_epc(("device", "sysfs"), sysfs=kernel(tmp_path, "4096"), dev=tmp_path)

    assert (source, epc.total) == ("sysfs", 4096)


def test_what_no_source_knows_is_unknown_and_not_0(tmp_path: Path) -> None:
    with pytest.raises(UnknownEpcError) as error:
        find_epc(("device", "sysfs"), sysfs=tmp_path, dev=tmp_path)
    assert f"device: {tmp_path}/cpu/0/cpuid: No such file or directory" in str(error.value)
    assert "sysfs: " in str(error.value)


@pytest.mark.parametrize("text", ["", "much", "-4096", str(2**63)])
def test_a_size_that_is_none_is_no_answer(tmp_path: Path, text: str) -> None:
    with pytest.raises(UnknownEpcError, match="sgx_total_bytes"):
        find_epc(("sysfs",), sysfs=kernel(tmp_path, text), dev=tmp_path)


def test_a_device_file_that_is_too_short_is_no_answer(tmp_path: Path) -> None:
    (tmp_path / "cpu/0").mkdir(parents=True)
    (tmp_path / "cpu/0/cpuid").write_bytes(b"\0" * 7)
    with pytest.raises(UnknownEpcError, match="expected 16 bytes of registers, found 7"):
        find_epc(("device",), sysfs=tmp_path, dev=tmp_path)


def test_a_kernel_that_manages_something_else_is_told(tmp_path: Path) -> None:
    epc = compared(Epc(total=8192), kernel(tmp_path, "4096"))

    assert epc.total == 8192
    assert "CPUID tells 8192 bytes of EPC, but the kernel manages 4096" in epc.warnings[0]
