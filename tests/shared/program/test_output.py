"""What programs print on request, to whom it may be written and to whom not."""

import subprocess
import sys
from pathlib import Path

import pytest

PLUGINS = ("xpu-gpu-plugin", "xpu-dsa-plugin", "xpu-npu-plugin", "xpu-node-agent")
PROGRAMS = (*PLUGINS, "xpu-level-zero-sidecar")


def command(program: str) -> str:
    return str(Path(sys.executable).with_name(program))


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_that_nobody_reads_on_is_no_error(program: str) -> None:
    process = subprocess.Popen([command(program), "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()

    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(20) == 0


@pytest.mark.parametrize(
    "words", [(program, "--help") for program in PROGRAMS] + [(program, "discover") for program in PLUGINS]
)
def test_a_full_disk_is_one_line_and_exit_code_1(words: tuple[str, str], tmp_path: Path) -> None:
    program, word = words
    drm = tmp_path / "sys/class/drm"  # so that there is something to print
    drm.mkdir(parents=True)
    roots = [f"--sysfs-root={tmp_path / 'sys'}", f"--dev-root={tmp_path}"] if word == "discover" else []
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [command(program), word, *roots], check=False, stdout=full, stderr=subprocess.PIPE, text=True
        )

    assert result.stderr.splitlines()[-1:] == [f"{program}: cannot write: No space left on device"]
    assert "Traceback" not in result.stderr
    assert result.returncode == 1
