"""The sysfs of a node: bounded reads, writes that create nothing."""

import errno
import os
from pathlib import Path

import pytest

from xpu_shared.provisioning.sysfs import NodeSysfs, reason


def test_an_attribute_is_read_without_its_newline_and_written_whole(tmp_path: Path) -> None:
    (tmp_path / "size").write_text("128\n")
    sysfs = NodeSysfs(tmp_path)
    sysfs.write("size", "5")

    assert sysfs.read("size") == "5"
    assert (tmp_path / "size").read_text() == "5"
    sysfs.write("size", "")
    assert (tmp_path / "size").read_text() == "\n"


def test_nothing_is_created(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        NodeSysfs(tmp_path).write("bind", "wq0.0")
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_a_directory_and_a_megabyte_do_not_stop_it(tmp_path: Path) -> None:
    sysfs = NodeSysfs(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "noise").write_bytes(b"\xff" * 1_000_000)

    with pytest.raises(OSError, match="not a regular file"):
        sysfs.read("pipe")
    with pytest.raises(OSError, match="not a regular file"):
        sysfs.read(".")
    assert len(sysfs.read("noise")) == 4 * 4096


def test_an_error_is_told_with_the_kernels_name() -> None:
    assert reason(OSError(errno.EOPNOTSUPP, "Operation not supported")) == "EOPNOTSUPP (Operation not supported)"
    assert reason(OSError("odd")) == "odd"
