"""Two runs at a time: the second one waits, and not for ever."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from programs import may_mount
from provisioned import HandClock
from xpu_shared.provisioning.lock import LockError, locked
from xpu_shared.provisioning.users import open_files

TESTS = Path(__file__).parents[2]


def test_a_second_run_waits_60_seconds_and_then_names_the_file(tmp_path: Path) -> None:
    clock = HandClock()
    with (
        locked(tmp_path / "lock"),
        pytest.raises(LockError, match=rf"{tmp_path}/lock: another run has held it for 60 s"),
        locked(tmp_path / "lock", clock=clock),
    ):
        pass
    assert 60.0 <= clock.now < 61.0


def test_it_goes_on_as_soon_as_the_first_has_ended(tmp_path: Path) -> None:
    first = locked(tmp_path / "lock")
    first.__enter__()

    class Ending(HandClock):
        def sleep(self, seconds: float, /) -> None:
            super().sleep(seconds)
            if self.now > 1.0:
                first.__exit__(None, None, None)

    clock = Ending()
    with locked(tmp_path / "lock", clock=clock):
        assert clock.now < 2.0


def test_its_directory_is_made_for_us_alone(tmp_path: Path) -> None:
    with locked(tmp_path / "run/lock"):
        assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LockError, match=r"lock: ELOOP"), locked(tmp_path / "lock"):
        pass
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(not may_mount(), reason="needs root, to mount a read-only file system")
def test_on_a_read_only_file_system_a_directory_is_locked_instead_and_a_second_run_waits_for_that(
    tmp_path: Path,
) -> None:
    (tmp_path / "read-only").mkdir()
    (tmp_path / "devices").mkdir()
    program = """
from pathlib import Path
from provisioned import HandClock
from xpu_shared.provisioning.lock import LockError, locked
file, directory = Path("read-only/xpu/lock"), Path("devices")
try:
    with locked(file): pass
except LockError as error:
    print(error)
with locked(file, instead=directory):
    try:
        with locked(file, instead=directory, clock=HandClock()): pass
    except LockError as error:
        print(error)
try:
    with locked(file, instead=Path("absent")): pass
except LockError as error:
    print(error)
"""
    script = 'mount -t tmpfs -o ro none read-only && exec "$@"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    assert done.stdout.splitlines() == [
        "lock file read-only/xpu/lock: EROFS (Read-only file system)",
        "lock file devices: another run has held it for 60 s",
        "lock on directory absent: ENOENT (No such file or directory)",
    ]


def test_a_file_is_known_to_be_open_by_its_process(tmp_path: Path) -> None:
    held, free = tmp_path / "held", tmp_path / "free"
    held.touch()
    free.touch()
    with held.open():
        assert open_files([held, free, tmp_path / "absent"]) == {held: os.getpid()}
    assert open_files([held, free]) == {}
