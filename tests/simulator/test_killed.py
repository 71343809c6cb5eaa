"""SIGKILL leaves neither processes nor files behind; the fixture `directory` looks for files."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from simulator.process import COMMAND, Simulator, descendants_of


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
