import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from xpu_shared.labels.feature_file import FeatureFile, FeatureFileError

NOON = datetime(2026, 11, 24, 12, 0, 0, 999_999, tzinfo=UTC)
LIFETIME = timedelta(minutes=10)
LABELS = {"gpu.intel.com/xe-links": "0.0-1.0", "gpu.intel.com/xe-links2": "Z_1"}


@pytest.fixture
def file(tmp_path: Path) -> FeatureFile:
    return FeatureFile(tmp_path / "labels.txt", lifetime=LIFETIME)


def test_labels_are_lines_in_their_order_after_the_time_they_run_out(file: FeatureFile) -> None:
    assert file.update(LABELS, now=NOON)

    assert file.path.read_bytes() == (
        b"# +expiry-time=2026-11-24T12:10:00Z\ngpu.intel.com/xe-links=0.0-1.0\ngpu.intel.com/xe-links2=Z_1\n"
    )
    assert file.path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(file.path.parent) == ["labels.txt"]


def test_nothing_is_written_when_nothing_changed_but_at_half_of_the_life(file: FeatureFile) -> None:
    file.update(LABELS, now=NOON)

    assert not file.update(LABELS, now=NOON + timedelta(minutes=4, seconds=58))
    assert file.update(LABELS, now=NOON + timedelta(minutes=5))
    assert not file.update(LABELS, now=NOON + timedelta(minutes=9))
    assert file.update({**LABELS, "x/y": "1"}, now=NOON + timedelta(minutes=9))


def test_the_order_of_labels_counts(file: FeatureFile) -> None:
    file.update(LABELS, now=NOON)

    assert file.update(dict(reversed(LABELS.items())), now=NOON)


def test_a_restart_writes_nothing_that_is_there_already(file: FeatureFile) -> None:
    file.update(LABELS, now=NOON)
    successor = FeatureFile(file.path, lifetime=LIFETIME)

    assert not successor.update(LABELS, now=NOON + timedelta(minutes=1))
    assert successor.update(LABELS, now=NOON + timedelta(minutes=5))


def test_a_clock_that_jumps_back_does_not_keep_labels_for_ever(file: FeatureFile) -> None:
    file.update(LABELS, now=NOON)

    assert file.update(LABELS, now=NOON - timedelta(hours=1))


@pytest.mark.parametrize("found", ["", "x=y\n", "# +expiry-time=tomorrow\nx=y\n", "\0\xff\n", "# +expiry-time=\n"])
def test_whatever_was_there_is_replaced(file: FeatureFile, found: str) -> None:
    file.path.write_text(found, encoding="latin-1")

    assert file.update({"x": "y"}, now=NOON)
    assert file.path.read_text() == "# +expiry-time=2026-11-24T12:10:00Z\nx=y\n"


def test_a_file_that_somebody_removed_comes_back(file: FeatureFile) -> None:
    file.update(LABELS, now=NOON)
    file.path.unlink()

    assert file.update(LABELS, now=NOON)
    assert file.path.exists()


@pytest.mark.parametrize("text", ["", "not ours\n", "# +expiry-time=2026-11-24T12:10:00Z\nx=y\n"])
def test_a_file_that_somebody_changed_is_put_right(file: FeatureFile, text: str) -> None:
    file.update(LABELS, now=NOON)
    before = file.path.read_text()
    file.path.write_text(text)

    assert file.update(LABELS, now=NOON)
    assert file.path.read_text() == before
    assert not file.update(LABELS, now=NOON)


def test_a_link_is_replaced_never_followed(file: FeatureFile) -> None:
    elsewhere = file.path.with_name("elsewhere")
    elsewhere.write_text("not ours")
    file.path.symlink_to(elsewhere)

    file.update(LABELS, now=NOON)

    assert not file.path.is_symlink()
    assert elsewhere.read_text() == "not ours"


def test_a_fifo_in_its_place_is_replaced_without_waiting_for_a_writer(file: FeatureFile) -> None:
    os.mkfifo(file.path)

    file.update(LABELS, now=NOON)

    assert file.path.is_file()


def test_a_directory_in_its_place_is_named(file: FeatureFile) -> None:
    file.path.mkdir()

    with pytest.raises(FeatureFileError, match=r"labels\.txt: is a directory"):
        file.update(LABELS, now=NOON)
    assert os.listdir(file.path.parent) == ["labels.txt"]


def test_a_missing_directory_is_an_error_until_it_is_there(file: FeatureFile) -> None:
    below = FeatureFile(file.path.parent / "features.d" / "labels.txt", lifetime=LIFETIME)
    with pytest.raises(FeatureFileError, match="No such file or directory"):
        below.update(LABELS, now=NOON)

    below.path.parent.mkdir()

    assert below.update(LABELS, now=NOON)


def test_more_than_nfd_reads_is_refused_and_the_last_good_file_stays(file: FeatureFile) -> None:
    file.update(LABELS, now=NOON)

    with pytest.raises(FeatureFileError, match="65536"):
        file.update({f"gpu.intel.com/{number}": "x" * 63 for number in range(1000)}, now=NOON)
    assert "xe-links" in file.path.read_text()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    directory = tmp_path / "full"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "full", directory], check=True)
    yield directory
    subprocess.run(["umount", directory], check=True)


def test_a_full_disk_costs_the_update_only(full_disk: Path) -> None:
    file = FeatureFile(full_disk / "labels.txt", lifetime=LIFETIME)
    file.update(LABELS, now=NOON)

    with pytest.raises(FeatureFileError, match="No space left"):
        file.update({**LABELS, "x/y": "1"}, now=NOON)
    assert "xe-links2=Z_1" in file.path.read_text()
    assert os.listdir(full_disk) == ["labels.txt"]


def test_what_a_killed_writer_has_left_is_removed_and_nothing_else(file: FeatureFile) -> None:
    others = [".labels.0123456789abcdeg", ".other.0123456789abcdef", "labels.0123456789abcdef", ".labels.txt"]
    for name in (".labels.0123456789abcdef", *others):
        file.path.with_name(name).touch()

    file.remove_leftovers()

    assert sorted(os.listdir(file.path.parent)) == sorted(others)


def test_removal_is_forgotten_so_that_the_next_update_writes(file: FeatureFile) -> None:
    file.update(LABELS, now=NOON)
    file.remove()
    file.remove()

    assert not file.path.exists()
    assert file.update(LABELS, now=NOON)
