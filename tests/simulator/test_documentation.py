"""The commands that the simulator's page shows do what it says."""

import re
import shlex
import sys
import tempfile
from pathlib import Path

import pytest

from simulator.process import Simulator
from xpu_simulator.__main__ import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/simulator.md").read_text()


def test_a_plugin_that_is_not_ours_runs_as_shown(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    (block,) = [block for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) if "foreign_plugin" in block]
    run, pod, remove = [shlex.split(line.removeprefix("$ xpu-simulator ")) for line in block.strip().splitlines()]
    assert run[:3] == ["run", "four-gpus", "--plugin"]

    simulator = Simulator(directory, "--plugin", run[3].replace("python", sys.executable, 1))
    simulator.read_until("4 of 4 healthy")
    assert main(pod) == 0
    assert main(remove) == 0
    simulator.read_until("3 of 3 healthy")
    simulator.process.terminate()

    assert simulator.finish() == 0
    assert re.match("pod training runs with card. card.\ngpu3 is pulled out\n", capsys.readouterr().out)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`xpu-simulator ([a-z]+)", PAGE))))
def test_every_command_of_the_page_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: xpu-simulator {command}")


def test_every_option_of_run_is_on_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    options = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    assert options == set(re.findall(r"^\| `(--[a-z-]+)", PAGE, re.MULTILINE))
