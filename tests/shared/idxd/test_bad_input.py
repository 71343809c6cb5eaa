"""Damaged sysfs, foreign files in /dev: each costs its queue only, and the administrator is told once."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handmade_idxd import HandmadeIdxd, paths, write
from scans import ids, rejection, told
from xpu_shared.idxd.queue_files import WrongFileError, character_device, check_char_entry

GOOD = {"wq-user-dedicated": ["wq-user-dedicated-wq2.1-0"]}  # what the queue beside the damaged one gives
NULL = (1, 3)


@pytest.fixture
def damaged(node: HandmadeIdxd) -> Path:
    """A queue wq2.0 to be damaged, beside a good one; returns its directory."""
    device = node.device("dsa2")
    node.queue(device, "wq2.1", minor=5)
    return node.queue(device, "wq2.0")


def test_a_state_that_cannot_be_read_skips_the_queue_without_a_warning(node: HandmadeIdxd, damaged: Path) -> None:
    """As while it is unbound."""
    (damaged / "state").unlink()

    result = node.scan()

    assert ids(result) == GOOD
    assert not told(result)
    assert "wq2.0/state" in rejection(result, "wq2.0").text


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"enabledish\n", "'enabledish'"),
        (b"\n", "''"),
        (b"", "''"),
        (b"\x00\xff\x1b[31m\n", r"'\x00\xff\x1b[31m\n'"),
        (b"x" * 9000, f"'{'x' * 64}'…"),
    ],
)
def test_a_state_of_another_text_is_not_enabled(node: HandmadeIdxd, damaged: Path, content: bytes, shown: str) -> None:
    (damaged / "state").write_bytes(content)

    result = node.scan()

    assert ids(result) == GOOD
    ((subject, text),) = told(result)
    assert subject == "wq2.0"
    assert "wq2.0/state: expected" in text
    assert text.endswith(f"found {shown}")


@pytest.mark.parametrize("attribute", ["mode", "type"])
@pytest.mark.parametrize("content", [None, "sharedish", "x" * 4096, "", "../../etc", "Dedicated"])
def test_a_mode_or_type_that_is_unknown_or_missing_costs_its_queue(
    node: HandmadeIdxd, damaged: Path, attribute: str, content: str | None
) -> None:
    (damaged / attribute).unlink()
    write(damaged, {attribute: content})

    result = node.scan()

    assert ids(result) == GOOD
    ((subject, text),) = told(result)
    assert subject == "wq2.0"
    assert f"wq2.0/{attribute}" in text


@pytest.mark.parametrize("name", ["wq", "wq2", "wq2.", "wq2.x", "wq3.0", "wq12.0", "wq2.0.1", "wq-2.0", "wq2.٣"])
def test_an_entry_that_is_no_queue_of_its_device_is_ignored(node: HandmadeIdxd, damaged: Path, name: str) -> None:
    (damaged.parent / name).mkdir()
    write(damaged.parent / name, {"state": "enabled", "mode": "dedicated", "type": "kernel"})

    result = node.scan()

    assert list(ids(result)) == ["wq-user-dedicated"]
    ((subject, text),) = told(result)
    assert subject.endswith(f"/dsa2/{name}")
    assert text == "ignored: expected a queue of this device, such as wq2.0"


def test_groups_engines_and_flat_links_are_no_queues(node: HandmadeIdxd, damaged: Path) -> None:
    for name in ("group2.0", "engine2.0", "wq2.0"):
        (node.sysfs / "bus/dsa/devices" / name).symlink_to(damaged)
    (damaged.parent / "group2.0").mkdir()

    result = node.scan()

    assert sum(map(len, result.devices.values())) == 2
    assert not told(result)


def test_type_none_is_skipped_silently(node: HandmadeIdxd, damaged: Path) -> None:
    write(damaged, {"type": "none"})

    result = node.scan()

    assert ids(result) == GOOD
    assert not told(result)


def make(kind: str, path: Path) -> None:
    if kind == "directory":
        path.mkdir()
    elif kind == "regular file":
        path.touch()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))


@pytest.mark.parametrize("kind", ["directory", "regular file", "pipe", "socket"])
def test_what_is_no_character_device_is_not_handed_out(tmp_path: Path, kind: str) -> None:
    make(kind, tmp_path / "wq2.0")

    with pytest.raises(WrongFileError, match=f"it is a {kind}, no character device"):
        character_device(str(tmp_path / "wq2.0"), (511, 4), simulated=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device files")
def test_a_block_device_is_not_handed_out(tmp_path: Path) -> None:
    os.mknod(tmp_path / "wq2.0", 0o600 | 0o060000, os.makedev(7, 0))

    with pytest.raises(WrongFileError, match="it is a block device"):
        character_device(str(tmp_path / "wq2.0"), (7, 0), simulated=False)


@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_the_wrong_kind_of_file_costs_its_queue(node: HandmadeIdxd, damaged: Path, kind: str) -> None:
    (node.dev / "dsa/wq2.0").unlink()
    make(kind, node.dev / "dsa/wq2.0")

    result = node.scan()

    assert ids(result) == GOOD
    assert told(result) == [("wq2.0", f"{node.dev}/dsa/wq2.0: it is a {kind}, no character device")]


def test_a_link_to_elsewhere_is_not_handed_out(tmp_path: Path) -> None:
    link = tmp_path / "wq2.0"
    link.symlink_to("/dev/null")

    with pytest.raises(
        WrongFileError, match="behind a link to '/dev/null' with the number 1:3, while sysfs says 511:4"
    ):
        character_device(str(link), (511, 4), simulated=False)
    with pytest.raises(WrongFileError, match="sysfs does not say its number"):
        character_device(str(link), None, simulated=False)
    link.unlink()
    link.symlink_to(tmp_path)
    with pytest.raises(WrongFileError, match="it is a directory behind a link to"):
        character_device(str(link), (511, 4), simulated=False)
    link.unlink()
    link.symlink_to("nowhere")
    with pytest.raises(WrongFileError, match="it is a link to nothing, 'nowhere'"):
        character_device(str(link), (511, 4), simulated=False)


def test_a_link_to_the_same_device_is(tmp_path: Path) -> None:
    link = tmp_path / "wq2.0"
    link.symlink_to("/dev/null")

    assert character_device(str(link), NULL, simulated=False)


def test_a_file_left_over_from_another_device_is_not_handed_out() -> None:
    with pytest.raises(WrongFileError, match="with the number 1:3, while sysfs says 511:4"):
        character_device("/dev/null", (511, 4), simulated=False)


def test_a_real_file_in_place_of_the_link_is_taken_when_it_is_the_same_device(tmp_path: Path) -> None:
    check_char_entry("/dev/null", "/dev/null", NULL, simulated=False)

    with pytest.raises(WrongFileError, match="it is a character device, neither a link to /dev/x nor the same device"):
        check_char_entry("/dev/null", "/dev/x", (511, 4), simulated=False)


@pytest.mark.parametrize("kind", ["directory", "pipe", "socket"])
def test_other_files_in_place_of_the_link_are_left_out(node: HandmadeIdxd, damaged: Path, kind: str) -> None:
    entry = node.dev / "char/511:4"
    entry.unlink()
    make(kind, entry)

    result = node.scan()

    assert paths(result.devices["wq-user-dedicated"][0]) == ["/dev/dsa/wq2.0"]
    ((subject, text),) = told(result)
    assert subject == str(entry)
    assert f"it is a {kind}" in text


def test_a_link_that_leads_elsewhere_is_left_out_and_both_paths_are_named(node: HandmadeIdxd, damaged: Path) -> None:
    entry = node.dev / "char/511:4"
    entry.unlink()
    entry.symlink_to("../dsa/wq2.1")

    result = node.scan()

    assert paths(result.devices["wq-user-dedicated"][0]) == ["/dev/dsa/wq2.0"]
    ((subject, text),) = told(result)
    assert subject == str(entry)
    assert text.endswith(f"it leads to {node.dev}/dsa/wq2.1, not to {node.dev}/dsa/wq2.0")


def test_a_loop_of_links_is_left_out(node: HandmadeIdxd, damaged: Path) -> None:
    entry = node.dev / "char/511:4"
    entry.unlink()
    entry.symlink_to("511:4")

    result = node.scan()

    assert paths(result.devices["wq-user-dedicated"][0]) == ["/dev/dsa/wq2.0"]
    assert "Too many levels of symbolic links" in told(result)[0][1]


def test_a_link_by_the_nodes_own_path_is_understood_in_a_simulated_tree(node: HandmadeIdxd, damaged: Path) -> None:
    entry = node.dev / "char/511:4"
    entry.unlink()
    entry.symlink_to("/dev/dsa/wq2.0")

    assert not told(node.scan())


def test_numbers_come_in_parts_too_and_without_them_there_is_no_second_file(node: HandmadeIdxd, damaged: Path) -> None:
    (damaged / "dsa!wq2.0/dev").unlink()
    write(damaged, {"cdev_minor": "4"})
    assert paths(node.scan().devices["wq-user-dedicated"][0]) == ["/dev/dsa/wq2.0", "/dev/char/511:4"]

    (damaged / "cdev_minor").unlink()
    result = node.scan()
    assert paths(result.devices["wq-user-dedicated"][0]) == ["/dev/dsa/wq2.0"]
    assert told(result) == [("wq2.0", "handed out without an entry in /dev/char: sysfs does not say its number")]


@pytest.mark.parametrize("content", ["511", "511:", "511:-4", "511:4:5", "x:y", "9" * 50 + ":1"])
def test_a_number_that_is_none_costs_its_queue(node: HandmadeIdxd, damaged: Path, content: str) -> None:
    write(damaged / "dsa!wq2.0", {"dev": content})

    result = node.scan()

    assert ids(result) == GOOD
    assert "expected two numbers such as 511:4" in told(result)[0][1]


@pytest.mark.parametrize("content", ["zero", "0-1", "99999", "\x00"])
def test_a_numa_node_that_is_none_leaves_the_queue_without(node: HandmadeIdxd, damaged: Path, content: str) -> None:
    write(damaged.parent, {"numa_node": content})

    result = node.scan()

    assert [device.numa_nodes for device in result.devices["wq-user-dedicated"]] == [(), ()]
    ((subject, text),) = told(result)
    assert subject == "dsa2"
    assert "no NUMA node is told" in text


def test_a_device_that_cannot_be_listed_costs_only_itself(node: HandmadeIdxd, damaged: Path) -> None:
    (node.sysfs / "bus/dsa/devices/dsa7").symlink_to("nowhere")

    result = node.scan()

    assert len(result.devices["wq-user-dedicated"]) == 2
    assert "No such file or directory" in rejection(result, "dsa7").text


@given(st.dictionaries(st.sampled_from(["state", "mode", "type", "dsa!wq2.0/dev"]), st.binary(max_size=80)))
def test_whatever_the_attributes_hold_the_other_queue_is_offered(
    tmp_path_factory: pytest.TempPathFactory, contents: dict[str, bytes]
) -> None:
    node = HandmadeIdxd(tmp_path_factory.mktemp("node"))
    device = node.device("dsa2")
    node.queue(device, "wq2.1", minor=5)
    queue = node.queue(device, "wq2.0")
    for name, content in contents.items():
        (queue / name).write_bytes(content)

    result = node.scan()

    assert "wq-user-dedicated-wq2.1-0" in result.devices["wq-user-dedicated"][-1].id
    assert set(result.devices) <= {
        f"wq-{type_}-{mode}" for type_ in ("user", "kernel", "mdev") for mode in ("dedicated", "shared")
    }
