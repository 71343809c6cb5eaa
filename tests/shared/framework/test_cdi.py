import os
import re
import resource
import stat
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.cdi import CdiDirectory, CdiError, file_name, render, violation
from xpu_shared.device import CdiDevice, DeviceNode, Mount

KIND = "intel.cdi.k8s.io/demo"
UNIT0 = CdiDevice(
    kind=KIND,
    name="unit0",
    nodes=(DeviceNode(host_path="/dev/x0", container_path="/dev/x0"),),
    mounts=(Mount(host_path="/dev/by-path/pci-0000:17:00.0-x", container_path="/dev/by-path/pci-0000:17:00.0-x"),),
)
TEXT = """\
---
cdiVersion: 0.5.0
containerEdits: {}
devices:
- containerEdits:
    deviceNodes:
    - hostPath: /dev/x0
      path: /dev/x0
      permissions: rw
    mounts:
    - containerPath: /dev/by-path/pci-0000:17:00.0-x
      hostPath: /dev/by-path/pci-0000:17:00.0-x
      options:
      - bind
      - ro
      type: none
  name: unit0
kind: intel.cdi.k8s.io/demo
"""


def test_a_file_is_written_as_yaml_with_sorted_keys() -> None:
    assert render(UNIT0) == TEXT


def test_a_class_with_a_dot_needs_a_newer_version() -> None:
    assert "cdiVersion: 0.6.0" in render(CdiDevice(kind="intel.com/a.b", name="x"))


paths = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
names = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?", fullmatch=True)


@given(
    names, st.lists(st.tuples(paths, paths), max_size=3), st.lists(st.tuples(paths, paths, st.booleans()), max_size=2)
)
def test_any_yaml_reader_reads_what_was_meant(
    name: str, nodes: list[tuple[str, str]], mounts: list[tuple[str, str, bool]]
) -> None:
    device = CdiDevice(
        kind=KIND,
        name=name,
        nodes=tuple(DeviceNode(host_path=host, container_path=inside) for host, inside in nodes),
        mounts=tuple(Mount(host_path=host, container_path=inside, read_only=ro) for host, inside, ro in mounts),
    )

    read = yaml.safe_load(render(device))

    (entry,) = read["devices"]
    edits = entry["containerEdits"]
    assert (read["cdiVersion"], read["kind"], entry["name"]) == ("0.5.0", KIND, name)
    assert [(node["hostPath"], node["path"]) for node in edits.get("deviceNodes", [])] == nodes
    assert [
        (mount["hostPath"], mount["containerPath"], "ro" in mount["options"]) for mount in edits.get("mounts", [])
    ] == mounts


@pytest.mark.parametrize("name", ["on", "No", "null", "y", "1", "0x10", "1e3", "12:30", "0.5.0"])
def test_names_that_yaml_takes_for_something_else_stay_text(name: str) -> None:
    read = yaml.safe_load(render(CdiDevice(kind=KIND, name=name)))

    assert read["devices"][0]["name"] == name


@pytest.mark.parametrize("kind", ["intel.com/x", "a/b", "a-b.c_d/e.f"])
def test_good_kinds(kind: str) -> None:
    assert violation(CdiDevice(kind=kind, name="0:a_b.c-d")) is None


def test_the_directory_and_the_file_have_the_modes_runtimes_need(tmp_path: Path) -> None:
    CdiDirectory(tmp_path / "cdi", [KIND]).ensure(UNIT0)

    file = tmp_path / "cdi/intel.cdi.k8s.io-demo-unit0.yaml"
    assert file.read_text() == TEXT
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert os.listdir(tmp_path / "cdi") == [file.name]


def test_a_file_that_says_so_already_is_left_alone(tmp_path: Path) -> None:
    CdiDirectory(tmp_path, [KIND]).ensure(UNIT0)
    before = (tmp_path / file_name(KIND, "unit0")).stat()

    CdiDirectory(tmp_path, [KIND]).ensure(UNIT0)

    assert (tmp_path / file_name(KIND, "unit0")).stat().st_ino == before.st_ino


@pytest.mark.parametrize("content", ["", TEXT.replace("rw", "r"), "not: [yaml", "\0\xff"])
def test_an_outdated_or_damaged_file_is_replaced(tmp_path: Path, content: str) -> None:
    file = tmp_path / file_name(KIND, "unit0")
    directory = CdiDirectory(tmp_path, [KIND])
    directory.ensure(UNIT0)
    file.write_text(content, encoding="latin-1")

    directory.ensure(UNIT0)

    assert file.read_text() == TEXT


def test_a_removed_file_is_written_again(tmp_path: Path) -> None:
    directory = CdiDirectory(tmp_path, [KIND])
    directory.ensure(UNIT0)
    (tmp_path / file_name(KIND, "unit0")).unlink()

    directory.ensure(UNIT0)

    assert (tmp_path / file_name(KIND, "unit0")).read_text() == TEXT


def test_a_link_in_the_files_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text(TEXT)
    cdi = tmp_path / "cdi"
    cdi.mkdir()
    (cdi / file_name(KIND, "unit0")).symlink_to(outside)

    CdiDirectory(cdi, [KIND]).ensure(UNIT0)

    assert not (cdi / file_name(KIND, "unit0")).is_symlink()
    assert outside.read_text() == TEXT


def test_a_directory_in_the_files_place_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = tmp_path / file_name(KIND, "unit0")
    file.mkdir()

    with pytest.raises(CdiError, match=re.escape(f"CDI file {file}: Is a directory")):
        CdiDirectory(tmp_path, [KIND]).ensure(UNIT0)
    assert os.listdir(tmp_path) == [file.name]


def test_a_path_that_takes_no_files_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "cdi").write_text("")

    with pytest.raises(CdiError, match=r"cdi/intel\.cdi\.k8s\.io-demo-unit0\.yaml: "):
        CdiDirectory(tmp_path / "cdi", [KIND]).ensure(UNIT0)


def test_a_full_disk_is_an_error_that_names_the_file_and_leaves_nothing_behind(tmp_path: Path) -> None:
    directory = CdiDirectory(tmp_path, [KIND])
    directory.ensure(UNIT0)
    file = tmp_path / file_name(KIND, "unit0")
    file.write_text("outdated")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))  # no file may become larger, as on a disk that fills up
    try:
        with pytest.raises(CdiError, match=re.escape(f"CDI file {file}: ")):
            directory.ensure(UNIT0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.listdir(tmp_path) == [file.name]
    assert file.read_text() == "outdated"

    directory.ensure(UNIT0)
    assert file.read_text() == TEXT


def test_the_file_of_a_device_that_is_gone_is_removed_after_the_retention(tmp_path: Path) -> None:
    file = tmp_path / file_name(KIND, "unit0")
    directory = CdiDirectory(tmp_path, [KIND])
    directory.ensure(UNIT0)

    assert directory.collect([UNIT0], retention=600, now=0) == []
    assert directory.collect([], retention=600, now=10) == []
    assert directory.collect([UNIT0], retention=600, now=300) == []
    assert directory.collect([], retention=600, now=400) == []
    assert directory.collect([], retention=600, now=1000) == [file]
    assert not file.exists()


def test_a_file_that_an_earlier_plugin_left_behind_is_removed_too(tmp_path: Path) -> None:
    CdiDirectory(tmp_path, [KIND]).ensure(UNIT0)

    assert CdiDirectory(tmp_path, [KIND]).collect([], retention=0, now=0) == [tmp_path / file_name(KIND, "unit0")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("other.yaml", TEXT),
        ("intel.cdi.k8s.io-demo-mine.yaml", "broken: ["),
        ("intel.cdi.k8s.io-demo-extra-unit0.yaml", TEXT.replace("/demo", "/demo-extra")),
        ("intel.cdi.k8s.io-demo-unit7.json", "{}"),
    ],
)
def test_files_of_others_are_never_touched(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)

    assert CdiDirectory(tmp_path, [KIND]).collect([], retention=0, now=0) == []
    assert (tmp_path / name).read_text() == content


def test_a_directory_that_does_not_exist_has_nothing_to_collect(tmp_path: Path) -> None:
    assert CdiDirectory(tmp_path / "cdi", [KIND]).collect([], retention=0, now=0) == []
