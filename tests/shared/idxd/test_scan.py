"""What of the work queues is offered, and what becomes of it when hardware and udev change their minds."""

import os
from pathlib import Path

import pytest

from handmade_idxd import HandmadeIdxd, paths, write
from scans import ids, rejection, told
from xpu_shared.device import Health
from xpu_shared.idxd.accelerator import IAA
from xpu_shared.idxd.queues import Memory

DEDICATED = "wq-user-dedicated"
ID = "wq-user-dedicated-wq2.0-0"


@pytest.fixture
def device(node: HandmadeIdxd) -> Path:
    return node.device("dsa2")


def test_without_the_driver_there_is_nothing_and_no_problem(node: HandmadeIdxd) -> None:
    (node.sysfs / "bus/dsa/devices").rmdir()

    assert node.scan().devices == {}
    assert node.scan().problems == ()


def test_without_sysfs_nothing_can_be_seen(node: HandmadeIdxd) -> None:
    with pytest.raises(FileNotFoundError):
        node.scan(sysfs_root=node.root / "none")


def test_numbers_count_as_numbers(node: HandmadeIdxd) -> None:
    for number in (10, 2, 0):
        device = node.device(f"dsa{number}", bdf=f"0000:6{number % 10}:01.0")
        for queue in (10, 9):
            node.queue(device, f"wq{number}.{queue}", minor=number * 16 + queue)

    assert [queue.name for queue in node.look().queues] == ["wq0.9", "wq0.10", "wq2.9", "wq2.10", "wq10.9", "wq10.10"]


def test_other_names_on_the_bus_are_no_devices(node: HandmadeIdxd, device: Path) -> None:
    for name in ("dsa", "dsa2x", "iax3", "wq2.0", "dsa-2"):
        (node.sysfs / "bus/dsa/devices" / name).symlink_to(device)

    assert node.look().devices == 1
    assert node.look(IAA).devices == 1


def test_more_shares_keep_the_meaning_of_the_ids_there_were(node: HandmadeIdxd, device: Path) -> None:
    node.queue(device, "wq2.0", attributes={"mode": "shared"})

    few, many = (ids(node.scan(shared_dev_num=number))["wq-user-shared"] for number in (2, 5))

    assert many[:2] == few
    assert many[-1] == "wq-user-shared-wq2.0-4"


@pytest.mark.parametrize("type_", ["kernel", "mdev"])
def test_queues_of_other_types_have_neither_files_nor_numa_nodes(node: HandmadeIdxd, device: Path, type_: str) -> None:
    node.queue(device, "wq2.0", attributes={"type": type_, "mode": "shared"}, file=False, link=False)

    result = node.scan(shared_dev_num=2)

    assert list(ids(result)) == [f"wq-{type_}-shared"]
    assert {(found.nodes, found.numa_nodes) for found in result.devices[f"wq-{type_}-shared"]} == {((), ())}


def test_kernel_queues_are_offered_unless_that_is_switched_off(node: HandmadeIdxd, device: Path) -> None:
    node.queue(device, "wq2.0", attributes={"type": "kernel"}, file=False, link=False)

    assert ids(node.scan()) == {"wq-kernel-dedicated": ["wq-kernel-dedicated-wq2.0-0"]}
    result = node.scan(advertise_kernel_wqs=False)
    assert not result.devices
    assert rejection(result, "wq2.0").expected


def test_a_disabled_queue_is_an_ordinary_sight(node: HandmadeIdxd, device: Path) -> None:
    node.queue(device, "wq2.0", attributes={"state": "disabled"}, file=False, link=False)

    look = node.look()

    assert not look.queues
    assert (look.devices, look.disabled) == (1, 1)
    assert rejection(look.result, "wq2.0").expected
    assert look.result.scan_again_in is None


def test_a_tree_without_links_tells_numa_nodes_by_the_files_number(node: HandmadeIdxd, device: Path) -> None:
    """Some trees have plain directories on the bus and name the hardware in dev/char only."""
    queue = node.queue(device, "wq2.0")
    (node.sysfs / "dev/char").mkdir(parents=True)
    (node.sysfs / "dev/char/511:4").symlink_to(queue / "dsa!wq2.0")
    plain = node.sysfs / "bus/dsa/devices/dsa2"
    plain.unlink()
    (plain / "wq2.0/dsa!wq2.0").mkdir(parents=True)
    write(plain / "wq2.0", {"state": "enabled", "mode": "dedicated", "type": "user"})
    write(plain / "wq2.0/dsa!wq2.0", {"dev": "511:4"})

    (found,) = node.scan().devices[DEDICATED]

    assert found.numa_nodes == (1,)


def test_host_paths_are_those_of_the_container_runtime(node: HandmadeIdxd, device: Path) -> None:
    node.queue(device, "wq2.0")

    (found,) = node.scan(host_dev_root=Path("/host/dev")).devices[DEDICATED]

    assert [(file.host_path, file.container_path) for file in found.nodes] == [
        ("/host/dev/dsa/wq2.0", "/dev/dsa/wq2.0"),
        ("/host/dev/char/511:4", "/dev/char/511:4"),
    ]


# A device file that is not there.


def test_an_enabled_queue_waits_for_its_file_and_is_a_problem_after_30_seconds(
    node: HandmadeIdxd, device: Path
) -> None:
    node.queue(device, "wq2.0", file=False, link=False)

    first = node.look(later=0)
    second = node.look(later=29, before=first.memory)
    third = node.look(later=30, before=second.memory)

    assert first.queues == second.queues == third.queues == []
    assert first.result.scan_again_in == 30
    assert second.result.scan_again_in == 1
    assert third.result.scan_again_in is None
    assert not told(first.result)
    assert not told(second.result)
    assert told(third.result) == [("wq2.0", f"it is enabled, but its device file {node.dev}/dsa/wq2.0 is missing")]


def test_a_file_that_comes_ends_the_wait(node: HandmadeIdxd, device: Path) -> None:
    node.queue(device, "wq2.0", file=False)
    first = node.look(later=0)
    node.file("dsa/wq2.0")

    second = node.look(later=60, before=first.memory)

    assert ids(second.result) == {DEDICATED: [ID]}
    assert second.memory.waiting == {}


def test_a_removed_directory_that_is_still_mounted_is_recognized(
    node: HandmadeIdxd, device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.queue(device, "wq2.0", file=False, link=False)
    (node.dev / "dsa").mkdir()
    descriptor = os.open(node.dev / "dsa", os.O_PATH)
    (node.dev / "dsa").rmdir()
    (node.dev / "dsa").symlink_to(f"/proc/self/fd/{descriptor}")  # as a mount of the old directory is seen
    try:
        text = rejection(node.scan(), "wq2.0").text
    finally:
        os.close(descriptor)

    assert "dsa was removed and made anew on the host: mount /dev instead" in text


def test_a_queue_whose_file_vanishes_stays_listed_as_unhealthy_until_it_is_back(
    node: HandmadeIdxd, device: Path
) -> None:
    node.queue(device, "wq2.0")
    seen = node.look()
    (node.dev / "dsa/wq2.0").unlink()

    gone = node.look(before=seen.memory)
    still = node.look(before=gone.memory)
    node.file("dsa/wq2.0")
    back = node.look(before=still.memory)

    for look in (gone, still):
        (found,) = look.result.devices[DEDICATED]
        assert (found.id, found.health) == (ID, Health.UNHEALTHY)
        assert found.reason == f"its device file {node.dev}/dsa/wq2.0 is missing"
        assert paths(found) == ["/dev/dsa/wq2.0", "/dev/char/511:4"]
    assert back.result.devices[DEDICATED][0].health is Health.HEALTHY


# udev's link.


def test_a_new_file_waits_two_seconds_for_its_link(node: HandmadeIdxd, device: Path) -> None:
    node.queue(device, "wq2.0", link=False)

    early = node.look(later=0.5)
    late = node.look(later=3, before=early.memory)

    assert not early.queues
    assert not told(early.result)
    assert early.result.scan_again_in == pytest.approx(1.5, abs=0.4)
    assert ids(late.result) == {DEDICATED: [ID]}
    assert [text for _, text in told(late.result)] == [
        "wq2.0 is handed out without it: there is no such link; is udev running?"
    ]


def test_a_link_that_comes_late_is_added(node: HandmadeIdxd, device: Path) -> None:
    node.queue(device, "wq2.0", link=False)
    without = node.look()
    node.link("511:4", "../dsa/wq2.0")

    result = node.look(before=without.memory).result

    assert paths(result.devices[DEDICATED][0]) == ["/dev/dsa/wq2.0", "/dev/char/511:4"]
    assert not told(result)


def test_a_queue_that_is_offered_is_not_withdrawn_for_its_link(node: HandmadeIdxd, device: Path) -> None:
    node.queue(device, "wq2.0")
    seen = node.look(later=0)
    (node.dev / "char/511:4").unlink()

    assert ids(node.look(later=0.1, before=seen.memory).result) == {DEDICATED: [ID]}


def test_a_link_may_be_required(node: HandmadeIdxd, device: Path) -> None:
    node.queue(device, "wq2.0", link=False)
    node.queue(device, "wq2.1", minor=5)

    result = node.scan(require_char_link=True)

    assert ids(result) == {DEDICATED: ["wq-user-dedicated-wq2.1-0"]}
    assert "--require-char-link" in told(result)[0][1]


# Health.


@pytest.mark.parametrize("state", ["halted", "disabled", "unknown"])
def test_a_queue_of_a_device_that_is_not_enabled_is_unhealthy(node: HandmadeIdxd, device: Path, state: str) -> None:
    node.queue(device, "wq2.0")
    write(device, {"state": state})

    (found,) = node.scan().devices[DEDICATED]

    assert (found.health, found.reason) == (Health.UNHEALTHY, f"dsa2 is {state}")


def test_a_device_that_halts_takes_its_queues_away_and_they_stay_listed(node: HandmadeIdxd, device: Path) -> None:
    queue = node.queue(device, "wq2.0")
    seen = node.look()
    write(device, {"state": "halted"})
    write(queue, {"state": "disabled", "type": "none", "mode": "dedicated"})

    halted = node.look(before=seen.memory)
    still = node.look(before=halted.memory)
    write(device, {"state": "enabled"})
    reset = node.look(before=still.memory)

    for look in (halted, still):
        (found,) = look.result.devices[DEDICATED]
        assert (found.health, found.reason) == (Health.UNHEALTHY, "dsa2 is halted")
    assert not reset.queues
    assert reset.result.losses == {DEDICATED: {ID: "its state is disabled"}}


def test_a_device_without_a_state_is_trusted(node: HandmadeIdxd, device: Path) -> None:
    node.queue(device, "wq2.0")
    (device / "state").unlink()

    assert node.scan().devices[DEDICATED][0].health is Health.HEALTHY


def test_a_device_in_an_odd_state_is_not(node: HandmadeIdxd, device: Path) -> None:
    node.queue(device, "wq2.0")
    write(device, {"state": "melting"})

    result = node.scan()

    assert result.devices[DEDICATED][0].reason == "dsa2 is in a state that the kernel does not document"
    assert "dsa2/state: expected one of enabled, disabled, halted, unknown, found 'melting'" in told(result)[0][1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"state": "disabled"}, "its state is disabled"),
        ({"type": "none"}, "its type is none"),
    ],
)
def test_why_an_offered_queue_is_lost_is_told(
    node: HandmadeIdxd, device: Path, change: dict[str, str | None], reason: str
) -> None:
    queue = node.queue(device, "wq2.0")
    seen = node.look()
    write(queue, change)

    result = node.look(before=seen.memory).result

    assert not result.devices
    assert result.losses == {DEDICATED: {ID: reason}}


def test_a_queue_whose_mode_changes_is_lost_under_its_old_ids(node: HandmadeIdxd, device: Path) -> None:
    queue = node.queue(device, "wq2.0", attributes={"mode": "shared"})
    seen = node.look(shared_dev_num=2)
    write(queue, {"mode": "dedicated"})

    result = node.look(before=seen.memory, shared_dev_num=2).result

    assert ids(result) == {DEDICATED: [ID]}
    reason = "its queue belongs to wq-user-dedicated now"
    assert result.losses == {"wq-user-shared": {f"wq-user-shared-wq2.0-{slot}": reason for slot in (0, 1)}}


def test_the_first_look_remembers_nothing(node: HandmadeIdxd) -> None:
    assert node.look().memory == Memory()


# Real device files.


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device files")
def test_real_device_files_are_taken_and_those_of_another_number_are_not(tmp_path: Path) -> None:
    node = HandmadeIdxd(tmp_path / "real", real=True)
    device = node.device("dsa2")
    node.queue(device, "wq2.0", minor=4)
    write(node.queue(device, "wq2.1", minor=5) / "dsa!wq2.1", {"dev": "511:6"})

    result = node.scan()

    assert ids(result) == {DEDICATED: [ID]}
    ((subject, text),) = told(result)
    assert subject == "wq2.1"
    assert "a character device with the number 511:5, while sysfs says 511:6" in text
