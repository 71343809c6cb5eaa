"""What `xpu-simulator fakedev` writes, as the generator it replaces does."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from simulator.small_disk import small_disk
from xpu_plugins.gpu.scan import scan
from xpu_plugins.gpu.settings import GpuSettings
from xpu_simulator.__main__ import main
from xpu_simulator.generator import Generator

LABEL = "xpumanager.intel.com/xe-links"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "root"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


def fakedev(root: Path, config: dict[str, Any] | str, *arguments: str) -> int:
    file = root.parent / "fake.json"
    file.write_text(config if isinstance(config, str) else json.dumps(config))
    return main(["fakedev", "-no-mknod", "-json", str(file), *arguments])


def files(root: Path) -> dict[str, str]:
    """The text of every file below sys, and nothing for those below dev."""
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_one_device_has_these_files_and_no_others(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {"DevCount": 1, "TilesPerDev": 1, "DevMemSize": 1048576, "Capabilities": {"platform": "x", "a": "b"}}

    assert fakedev(root, config) == 0

    assert files(root) == {
        "sys/class/drm/card0/lmem_total_bytes": "1048576",
        "sys/class/drm/card0/device/vendor": "0x8086",
        "sys/class/drm/card0/device/numa_node": "0",
        "sys/kernel/debug/dri/0/i915_capabilities": "platform: x\na: b\n",
        "sys/bus/pci/drivers/i915/0000:00:00.0/device": "0x4905",
        "sys/bus/pci/drivers/i915/0000:00:00.0/drm/card0": "",
        "sys/bus/pci/drivers/i915/0000:00:00.0/drm/renderD128": "",
        "dev/dri/card0": "",
        "dev/dri/renderD128": "",
        "xpum-sidecar-labels.txt": f"{LABEL}=\n",
    }
    for directory in ("device/drm/card0", "device/drm/renderD128", "gt/gt0"):
        assert (root / "sys/class/drm/card0" / directory).is_dir()
    written = capsys.readouterr()
    assert "created 8 directories, 4 devices, 5 files" in written.err
    assert written.out == f"{LABEL}=\n"


def test_modes_do_not_depend_on_the_umask(root: Path) -> None:
    before = os.umask(0o077)
    try:
        assert fakedev(root, {"DevCount": 1}) == 0
    finally:
        os.umask(before)
    for path in (*(root / "sys").rglob("*"), *(root / "dev").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o775 if path.is_dir() else 0o644), path


def test_device_nodes_are_those_of_null(root: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("device nodes need root")
    (root.parent / "fake.json").write_text('{"DevCount": 1}')

    assert main(["fakedev", f"--json={root.parent / 'fake.json'}", "--verbose"]) == 0

    for path in (root / "dev/dri/card0", root / "sys/bus/pci/drivers/i915/0000:00:00.0/drm/renderD128"):
        state = path.lstat()
        assert stat.S_ISCHR(state.st_mode)
        assert (state.st_rdev, stat.S_IMODE(state.st_mode)) == (os.makedev(1, 3), 0o644)


def test_numa_nodes_fill_up_one_after_the_other(root: Path) -> None:
    assert fakedev(root, {"DevCount": 5, "DevsPerNode": 2}) == 0
    nodes = [(root / f"sys/class/drm/card{card}/device/numa_node").read_text() for card in range(5)]
    assert nodes == ["0", "0", "1", "1", "2"]


def test_the_plugin_offers_virtual_functions_and_not_the_card_that_has_them(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fakedev(root, {"DevCount": 4, "VfsPerPf": 1, "DevMemSize": 2097152}) == 0

    for card in range(4):
        path = root / f"sys/class/drm/card{card}/device/sriov_numvfs"
        assert path.exists() == (card % 2 == 0)
    assert "created 28 directories, 16 devices, 22 files" in capsys.readouterr().err
    for card in range(4):  # the generator makes no link, without which no plugin of ours takes a card for a GPU
        (root / f"sys/class/drm/card{card}/device/driver").symlink_to("../../../../bus/pci/drivers/i915")
    settings = GpuSettings(sysfs_root=root / "sys", dev_root=root / "dev", host_dev_root=root / "dev", prefix=str(root))
    assert {device.id for device in scan(settings).devices["i915"]} == {"card1-0", "card3-0"}


def test_from_device_32_on_pci_addresses_go_on_with_the_next_bus(root: Path) -> None:
    assert fakedev(root, {"DevCount": 34}) == 0
    assert (root / "sys/bus/pci/drivers/i915/0000:00:1f.0").is_dir()
    assert (root / "sys/bus/pci/drivers/i915/0000:01:01.0").is_dir()


@pytest.mark.parametrize(
    ("config", "labels"),
    [
        ({"DevCount": 2, "TilesPerDev": 1, "Capabilities": {"connection-topology": "FULL"}}, ["1.0-0.0"]),
        ({"DevCount": 2, "Capabilities": {"connection-topology": "FULL"}}, [""]),
        (
            {"DevCount": 1, "TilesPerDev": 3, "Capabilities": {"connection-topology": "FULL"}},
            ["0.1-0.0_0.2-0.0_0.2-0.1"],
        ),
        ({"DevCount": 2, "Capabilities": {"connections": "0.0-1.0", "connection-topology": "RAW"}}, ["0.0-1.0"]),
        ({"DevCount": 2, "Capabilities": {"connections": "1" * 125}}, ["1" * 63, "Z" + "1" * 62]),
        ({"DevCount": 2, "Capabilities": {"connections": "1" * 126}}, ["1" * 63, "Z" + "1" * 62, "Z1"]),
    ],
)
def test_connections_become_labels_of_63_characters(config: dict[str, Any], labels: list[str]) -> None:
    names = [LABEL, *(f"{LABEL}{number}" for number in range(2, len(labels) + 1))]
    assert list(Generator.model_validate(config).labels()) == [
        f"{name}={label}" for name, label in zip(names, labels, strict=True)
    ]


def test_all_pairs_are_linked_once() -> None:
    config = {"DevCount": 8, "TilesPerDev": 2, "Capabilities": {"connection-topology": "FULL"}}
    pairs = [frozenset(pair.split("-")) for pair in Generator.model_validate(config).connections().split("_")]
    assert len(set(pairs)) == len(pairs) == 16 * 15 // 2


def test_a_second_run_takes_the_place_of_the_first(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fakedev(root, {"DevCount": 3}) == 0
    assert fakedev(root, {"DevCount": 1}) == 0
    assert [path.name for path in (root / "sys/class/drm").iterdir()] == ["card0"]
    assert f"WARNING: removing {Path('dev')} and all that is in it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("entries", "error"),
    [
        (["dev/null"], "ERROR: dev: expected nothing but dri, found 'null': a real devfs?"),
        (["dev/dri", "dev/zero"], "ERROR: dev: expected nothing but dri, found 'zero'"),
        (["sys/a", "sys/b", "sys/c", "sys/d"], "ERROR: sys: expected at most 3 entries: a real sysfs?"),
    ],
)
def test_what_may_be_a_real_tree_is_left_alone(
    root: Path, capsys: pytest.CaptureFixture[str], entries: list[str], error: str
) -> None:
    assert fakedev(root, {"DevCount": 1}) == 0
    for entry in entries:
        (root / entry).mkdir(parents=True, exist_ok=True)
    before = files(root)

    assert fakedev(root, {"DevCount": 2}) == 1

    assert error in capsys.readouterr().err.splitlines()[-1]
    assert files(root) == before


def test_a_link_is_not_followed(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kept/dri").mkdir(parents=True)
    (root / "dev").symlink_to(tmp_path / "kept")
    assert fakedev(root, {"DevCount": 1}) == 1
    assert capsys.readouterr().err == "ERROR: dev: expected a directory, not a link\n"
    assert (tmp_path / "kept/dri").is_dir()


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ("", "expected Info and DevCount and"),
        ("{", "fake.json:1: "),
        ({"DevCount": 200}, "fake.json:1: DevCount: less than or equal to 128, found 200"),
        ({"DevCount": 1, "Capabilities": {"connections": "a b"}}, "Capabilities: connections: expected pairs such as"),
    ],
)
def test_a_bad_configuration_removes_nothing(
    root: Path, capsys: pytest.CaptureFixture[str], config: dict[str, Any] | str, error: str
) -> None:
    assert fakedev(root, {"DevCount": 1}) == 0
    before = files(root)
    capsys.readouterr()

    assert fakedev(root, config) == 1

    errors = capsys.readouterr().err
    assert errors.startswith("ERROR: ")
    assert error in errors
    assert errors.count("\n") == 1
    assert files(root) == before


def test_a_full_disk_is_one_line_with_the_file(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with small_disk(root, "size=16k"):
        assert fakedev(root, {"DevCount": 2}, "-root", str(root)) == 1
    assert capsys.readouterr().err.startswith(f"ERROR: [Errno 28] No space left on device: '{root}/sys/class/drm/card")


def test_without_a_file_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fakedev"]) == 1
    assert capsys.readouterr().err == "ERROR: -json: expected the name of a file\n"


def test_a_flag_is_written_as_go_programs_have_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {"DevCount": 1, "Info": "one of them", "Unknown": 1}
    assert fakedev(root, config, "-verbose=false") == 0
    quiet = capsys.readouterr().err
    assert quiet.startswith("INFO: one of them\n")
    assert "DevCount" not in quiet
    for flag in ("-verbose", "--verbose", "-verbose=true", "--verbose=T"):
        assert fakedev(root, config, flag) == 0
        assert '{"Info":"one of them","DevCount":1}' in capsys.readouterr().err
    for wrong, error in (("-verbose=maybe", "expected true or false, found 'maybe'"), ("-frob", "-frob")):
        with pytest.raises(SystemExit) as end:
            fakedev(root, config, wrong)
        assert end.value.code == 2
        assert error in capsys.readouterr().err


def test_as_many_tiles_and_virtual_functions_as_the_generator_takes(root: Path, tmp_path: Path) -> None:
    assert fakedev(root, {"DevCount": 1, "TilesPerDev": 9}) == 0
    assert len(list((root / "sys/class/drm/card0/gt").iterdir())) == 9
    many = {"DevCount": 128, "VfsPerPf": 127}
    assert fakedev(root, many) == 0
    assert (root / "sys/class/drm/card0/device/sriov_numvfs").read_text() == "127"
    assert main(["tree", "--no-mknod", str(tmp_path / "fake.json"), str(tmp_path / "tree")]) == 0
    assert (tmp_path / "tree/sys/class/drm/card0/device/sriov_totalvfs").read_text() == "127\n"


def test_yaml_will_do_and_another_directory(root: Path, tmp_path: Path) -> None:
    assert fakedev(root, "DevCount: 2\nInfo: two of them", "-root", str(tmp_path), "-verbose") == 0
    assert (tmp_path / "dev/dri/card1").exists()
    assert list(root.iterdir()) == []
