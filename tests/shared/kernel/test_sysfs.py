import contextlib
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.kernel.sysfs import (
    LARGEST_ATTRIBUTE,
    MalformedAttributeError,
    list_names,
    read_integer,
    read_link_name,
    read_text,
)


@pytest.fixture
def attribute(tmp_path: Path) -> Path:
    return tmp_path / "attribute"


@pytest.mark.parametrize(
    ("text", "value"),
    [("0x8086\n", 0x8086), ("-1\n", -1), ("0\n", 0), ("17", 17), (" \t3\n\n", 3), ("+5", 5), ("0xBEEF", 0xBEEF)],
)
def test_integers_are_read_as_the_kernel_writes_them(attribute: Path, text: str, value: int) -> None:
    attribute.write_text(text)

    assert read_integer(attribute) == value


@pytest.mark.parametrize("text", ["", "8086h", "1_000", "0b1", "0o7", "1 2", "1\n2", "--1", "0x", "007", "1.0", "1e3"])
def test_what_is_no_integer_names_the_file_and_the_text(attribute: Path, text: str) -> None:
    attribute.write_text(text)

    with pytest.raises(MalformedAttributeError, match=re.escape(f"{attribute}: expected an integer, found {text!r}")):
        read_integer(attribute)


@pytest.mark.parametrize("data", [b"1\0", b"\xd9\xa1", b"\x1f1", b"\xff", b"1\x7f"])
def test_what_is_not_printable_is_refused_and_shown_escaped(attribute: Path, data: bytes) -> None:
    attribute.write_bytes(data)

    with pytest.raises(MalformedAttributeError, match="expected printable text") as caught:
        read_text(attribute)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


def test_an_attribute_longer_than_a_page_is_refused_and_shown_cut(attribute: Path) -> None:
    attribute.write_bytes(b"x" * (LARGEST_ATTRIBUTE + 1))

    with pytest.raises(MalformedAttributeError, match=r"at most 4096 bytes, found 'x{64}'…$"):
        read_text(attribute)


def test_a_page_is_read_whole(attribute: Path) -> None:
    attribute.write_bytes(b"x" * LARGEST_ATTRIBUTE)

    assert read_text(attribute) == "x" * LARGEST_ATTRIBUTE


def test_an_absent_attribute_is_an_os_error(attribute: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_text(attribute)


def test_a_loop_of_links_is_an_os_error(attribute: Path) -> None:
    attribute.symlink_to(attribute)

    with pytest.raises(OSError, match="symbolic links"):
        read_text(attribute)


def test_a_pipe_or_directory_is_refused_without_waiting(attribute: Path) -> None:
    os.mkfifo(attribute)

    for path in (attribute, attribute.parent):
        with pytest.raises(MalformedAttributeError, match="expected a regular file"):
            read_text(path)


@given(st.binary(max_size=64))
def test_any_bytes_are_text_or_a_malformed_attribute(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    attribute = tmp_path_factory.getbasetemp() / "any-bytes"
    attribute.write_bytes(data)
    with contextlib.suppress(MalformedAttributeError):
        assert read_text(attribute).encode() == data.strip()


def test_the_name_of_a_link_is_its_last_element(tmp_path: Path) -> None:
    (tmp_path / "driver").symlink_to("../../../bus/pci/drivers/xe")

    assert read_link_name(tmp_path / "driver") == "xe"
    with pytest.raises(OSError, match="Invalid argument"):
        read_link_name(tmp_path)


def test_names_are_listed_in_byte_order(tmp_path: Path) -> None:
    names = [b"card10", b"card2", b"card1", b"\xff", b"\xc3\xa9"]
    for name in names:
        (tmp_path / os.fsdecode(name)).touch()

    assert [os.fsencode(name) for name in list_names(tmp_path)] == sorted(names)
