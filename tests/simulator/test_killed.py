"""SIGKILL leaves neither processes nor files behind; the fixture `directory` looks for files."""

import fcntl
import os
import select
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from processes import descendants_of
from simulator.process import COMMAND, Simulator
from xpu_simulator.guardian import PREFIX

DAEMON = ["sleep", "98765.4321"]  # of a number that nobody else sleeps for
WITH_DAEMON = f"sh -c 'setsid -f {' '.join(DAEMON)}; exec {COMMAND}'"  # a session of its own, and init for a parent


def daemons() -> list[int]:
    """Process descriptors of the daemons that live."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cmdline").read_text().rstrip("\0").split("\0") == DAEMON:
                found.append(os.pidfd_open(int(process.name)))
    return found


def ended(*descriptors: int) -> bool:
    """Wait for processes; whether they have ended."""
    in_time = [bool(select.select([descriptor], [], [], 10)[0]) for descriptor in descriptors]
    for descriptor in descriptors:
        os.close(descriptor)
    return all(in_time)


def test_a_killed_simulator_takes_its_plugins_their_children_and_its_directory_with_it(directory: Path) -> None:
    simulator = Simulator(directory, "--plugin", f"{COMMAND} --child")
    simulator.read_until("4 of 4 healthy")
    assert len(descendants_of(simulator.process.pid)) == 3  # the guardian, the plugin, the plugin's child

    simulator.kill()

    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("line", ["GPUs and kubelet", "listens", "starts as process"])
def test_it_may_be_killed_while_it_starts(directory: Path, line: str) -> None:
    simulator = Simulator(directory, "--plugin", COMMAND)
    simulator.read_until(line)
    simulator.kill()
    assert list(directory.iterdir()) == []


def test_it_may_be_killed_while_it_ends(directory: Path) -> None:
    simulator = Simulator(directory, "--plugin", f"{COMMAND} --ignore-sigterm")
    simulator.read_until("4 of 4 healthy")
    simulator.process.terminate()
    simulator.read_until("SIGTERM")
    simulator.kill()
    assert list(directory.iterdir()) == []


def test_what_others_put_into_the_directory_goes_with_it_but_not_what_links_lead_to(
    directory: Path, tmp_path: Path
) -> None:
    (tmp_path / "kept").touch()
    simulator = Simulator(directory)
    simulator.read_until("listens")
    (root,) = directory.iterdir()
    (root / "link").symlink_to(tmp_path)

    simulator.kill()

    assert list(directory.iterdir()) == []
    assert (tmp_path / "kept").exists()


def test_a_directory_without_its_marker_is_not_removed(directory: Path) -> None:
    simulator = Simulator(directory)
    simulator.read_until("listens")
    (root,) = directory.iterdir()
    (root / ".xpu-simulator").unlink()

    simulator.kill()

    assert root.is_dir()
    shutil.rmtree(root)


def test_without_its_guardian_it_cleans_up_by_itself(directory: Path) -> None:
    simulator = Simulator(directory, "--plugin", COMMAND)
    simulator.read_until("4 of 4 healthy")
    guardian, _plugin = descendants_of(simulator.process.pid)
    os.kill(guardian, signal.SIGKILL)

    simulator.process.terminate()

    assert simulator.finish() == 0, simulator.errors
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_of_a_plugin_that_has_become_a_daemon_is_found(directory: Path, number: signal.Signals) -> None:
    simulator = Simulator(directory, "--plugin", WITH_DAEMON)
    simulator.read_until("4 of 4 healthy")
    (daemon,) = daemons()

    if number == signal.SIGKILL:
        simulator.kill()
    else:
        simulator.process.send_signal(number)
        assert simulator.finish() == 0

    assert ended(daemon)


def test_a_reboot_ends_daemons_too(directory: Path, tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("steps: [{expect: {example.com/card: 4}}, {reboot: true, expect: {example.com/card: 4}}]")
    simulator = Simulator(directory, "--plugin", WITH_DAEMON, "--scenario", str(scenario))
    simulator.read_until("4 of 4 healthy")
    (daemon,) = daemons()
    simulator.read_until("reboots")
    assert ended(daemon)
    assert simulator.finish() == 0
    assert daemons() == []


def test_what_is_left_when_its_guardian_is_killed_too_goes_when_the_next_one_starts(directory: Path) -> None:
    simulator = Simulator(directory, "--plugin", WITH_DAEMON)
    simulator.read_until("4 of 4 healthy")
    (daemon,) = daemons()
    (left,) = directory.iterdir()
    os.kill(descendants_of(simulator.process.pid)[0], signal.SIGKILL)
    simulator.process.kill()
    simulator.finish()
    assert left.is_dir()

    other = Simulator(directory)
    other.read_until("listens")

    other.process.terminate()
    assert other.finish() == 0
    assert ended(daemon)
    assert not left.exists()


def test_directories_of_others_and_of_simulators_that_live_are_left_alone(directory: Path, tmp_path: Path) -> None:
    (directory / f"{PREFIX}plain").mkdir()
    (tmp_path / ".xpu-simulator").touch()
    (directory / f"{PREFIX}link").symlink_to(tmp_path)
    held = directory / f"{PREFIX}held"
    held.mkdir()
    with (held / ".xpu-simulator").open("w") as marker:
        fcntl.flock(marker, fcntl.LOCK_SH)
        simulator = Simulator(directory)
        simulator.read_until("listens")
        second = Simulator(directory)
        second.read_until("listens")
        for each in (simulator, second):
            each.process.terminate()
            assert each.finish() == 0
    assert {path.name for path in directory.iterdir()} == {f"{PREFIX}{name}" for name in ("plain", "link", "held")}
    assert (tmp_path / ".xpu-simulator").exists()
    for path in (directory / f"{PREFIX}plain", held):
        shutil.rmtree(path)
    (directory / f"{PREFIX}link").unlink()
