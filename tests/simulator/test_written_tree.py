"""`xpu-simulator tree`."""

import os
from pathlib import Path

import pytest

from xpu_simulator.__main__ import main


def tree(node: str, directory: Path, *options: str) -> int:
    return main(["tree", "--no-mknod", node, str(directory), *options])


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_it_writes_what_run_would_show_a_plugin(tmp_path: Path) -> None:
    assert tree("8x2-PVC-xelink", tmp_path / "new/tree") == 0

    root = tmp_path / "new/tree"
    card = root / "sys/class/drm/card7"
    assert str(card.readlink()).startswith("../../devices/pci0000:")
    assert (card / "device/driver").resolve() == root / "sys/bus/pci/drivers/i915"
    assert (card / "device/numa_node").read_text() == "3\n"
    assert (card / "lmem_total_bytes").read_text() == "4294967296\n"
    assert {path.name for path in (card / "gt").iterdir()} == {"gt0", "gt1"}
    assert "platform: fake_PVC\n" in (root / "sys/kernel/debug/dri/7/i915_capabilities").read_text()
    assert len(list((root / "dev/dri/by-path").iterdir())) == 16


def test_writing_it_again_changes_nothing_and_another_node_takes_its_place(tmp_path: Path) -> None:
    assert tree("four-gpus", tmp_path) == 0
    first = everything(tmp_path)
    (tmp_path / "notes").touch()

    assert tree("8x-DG1", tmp_path) == 0
    assert (tmp_path / "dev/dri/card7").exists()
    assert tree("four-gpus", tmp_path) == 0

    assert everything(tmp_path) == first | {"notes"}


@pytest.mark.parametrize("name", ["sys", "dev", "something"])
def test_a_directory_of_somebody_elses_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / name).mkdir()

    assert tree("four-gpus", tmp_path) == 1

    assert f"{tmp_path}: expected an empty directory, or one that `xpu-simulator tree` has filled" in (
        capsys.readouterr().err
    )
    assert everything(tmp_path) == {name}


def test_links_are_not_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tree("four-gpus", tmp_path / "tree") == 0
    (tmp_path / "tree/dev").rename(tmp_path / "dev")
    (tmp_path / "tree/dev").symlink_to(tmp_path / "dev")

    assert tree("four-gpus", tmp_path / "tree") == 1

    assert "expected a directory, found a link or a mount" in capsys.readouterr().err
    assert (tmp_path / "dev/dri").is_dir()


def test_a_bad_node_changes_nothing(tmp_path: Path) -> None:
    assert tree("four-gpus", tmp_path) == 0
    before = everything(tmp_path)
    bad = tmp_path.parent / "bad.yaml"
    bad.write_text("gpus: 4")
    assert tree(str(bad), tmp_path) == 2
    assert everything(tmp_path) == before


def test_device_nodes_are_real_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["tree", "four-gpus", str(tmp_path)])
    if os.geteuid() == 0:
        assert (code, (tmp_path / "dev/dri/card0").is_char_device()) == (0, True)
    else:
        assert code == 1
        assert "device nodes need root; --no-mknod makes regular files instead" in capsys.readouterr().err


def test_a_file_in_the_place_of_the_directory_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert tree("four-gpus", tmp_path / "file") == 1
    assert capsys.readouterr().err.count("\n") == 1
