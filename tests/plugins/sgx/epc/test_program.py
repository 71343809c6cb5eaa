"""The program as a process: flags, what it prints where, exit codes."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from xpu_plugins.sgx.epc.program import publish
from xpu_plugins.sgx.epc.settings import EpcSettings


def program(*flags: str, size: str | None = None, root: Path) -> subprocess.CompletedProcess[str]:
    """Run it with sysfs as its only source."""
    sysfs = root / "sys"
    directory = sysfs / "devices/system/node/node0/x86"
    if size is not None and not directory.exists():
        directory.mkdir(parents=True)
        (directory / "sgx_total_bytes").write_text(f"{size}\n")
    command = [sys.executable, "-m", "xpu_plugins.sgx.epc", "--cpuid-source=sysfs", f"--sysfs-root={sysfs}", *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, env={"NODE_NAME": "n1"})


@pytest.mark.parametrize("size", ["15019802624", "0"])
def test_nothing_but_the_size_is_printed_and_no_newline(tmp_path: Path, size: str) -> None:
    done = program(size=size, root=tmp_path)

    assert (done.returncode, done.stdout) == (0, f"sgx.intel.com/epc={size}")
    assert f"epc={size}" in done.stderr


@pytest.mark.parametrize("flag", ["-affirm", "--affirm", "-affirm=true"])
def test_affirm_fails_where_there_is_none(tmp_path: Path, flag: str) -> None:
    done = program(flag, size="0", root=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert "no EPC" in done.stderr


def test_affirm_switched_off_does_not(tmp_path: Path) -> None:
    assert program("-affirm=false", size="0", root=tmp_path).returncode == 0


@pytest.mark.parametrize(("flag", "code"), [("-affirm", 1), ("-register", 1), ("-report", 0)])
def test_an_unknown_size_is_never_0(tmp_path: Path, flag: str, code: int) -> None:
    done = program(flag, root=tmp_path)

    assert (done.returncode, done.stdout) == (code, "")
    assert "the size of the EPC is not known: sysfs: " in done.stderr


@pytest.mark.parametrize("flag", ["-v=2", "--cpuid-source=guess", "-register=maybe", "--unknown", "word"])
def test_a_bad_flag_ends_with_2(tmp_path: Path, flag: str) -> None:
    done = program(flag, size="0", root=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")


def test_register_outside_a_pod_ends_with_1(tmp_path: Path) -> None:
    done = program("-register", size="4096", root=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert "node n1: KUBERNETES_SERVICE_HOST is not set" in done.stderr


def test_nfd_gets_a_file_with_the_one_line(tmp_path: Path) -> None:
    features = tmp_path / "features.d"
    features.mkdir()
    done = program(f"--features-dir={features}", size="4096", root=tmp_path)
    again = program(f"--features-dir={features}", root=tmp_path)

    assert (done.returncode, again.returncode) == (0, 0)
    (file,) = features.iterdir()
    assert file.read_text() == "sgx.intel.com/epc=4096\n"


def test_a_directory_of_nfds_that_is_missing_ends_with_1(tmp_path: Path) -> None:
    done = program(f"--features-dir={tmp_path / 'none'}", size="4096", root=tmp_path)

    assert done.returncode == 1
    assert f"{tmp_path / 'none'}" in done.stderr


def test_the_report_is_one_line_of_json_on_standard_error(tmp_path: Path) -> None:
    done = program("--report", size="4096", root=tmp_path)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("{")]

    assert json.loads(line) == {"source": "sysfs", "total": 4096, "sections": [], "warnings": []}


def test_a_daemon_stays_also_where_the_size_is_unknown(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "xpu_plugins.sgx.epc", "-daemon", "--cpuid-source=sysfs", f"--sysfs-root={tmp_path}",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as daemon:
        assert daemon.stderr is not None
        while "is not known" not in daemon.stderr.readline():
            assert daemon.poll() is None
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(10) == 0


def test_a_size_that_is_known_later_is_told_then(tmp_path: Path) -> None:
    features = tmp_path / "features.d"
    features.mkdir()
    settings = EpcSettings(cpuid_source=("sysfs",), sysfs_root=tmp_path / "sys", features_dir=features, watch=True)
    unknown = publish(settings, {}, None, None)
    assert isinstance(unknown, str)
    assert list(features.iterdir()) == []

    program(size="4096", root=tmp_path)
    known = publish(settings, {}, None, unknown)
    assert isinstance(known, tuple)
    (file,) = features.iterdir()
    file.unlink()
    assert publish(settings, {}, None, known) == known
    assert file.read_text() == "sgx.intel.com/epc=4096\n"


@pytest.mark.parametrize("flag", ["-daemon", "--watch"])
def test_a_daemon_stays_until_a_signal_and_ends_with_0(flag: str) -> None:
    command = [sys.executable, "-m", "xpu_plugins.sgx.epc", flag]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.read(len("sgx.intel.com/epc=")) == b"sgx.intel.com/epc="
        assert daemon.poll() is None
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(10) == 0
