"""Every file that a family looks at fails with every errno, and hangs, through a library in front of the C library."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from xpu_plugins.node_agent.families import FAMILIES
from xpu_simulator.level_zero.build import compiler

SOURCE = Path(__file__).with_name("failing.c")
SCANS_OF_A_PATH = 28  # 14 errnos, at opening and at reading


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("library") / "failing.so"
    subprocess.run([*compiler(), "-shared", "-fPIC", "-O1", "-o", str(target), str(SOURCE), "-ldl"], check=True)
    return target


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_that_fails_costs_only_its_device_and_not_without_a_word(
    library: Path, family: str, tmp_path: Path
) -> None:
    environment = {**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "faults.every_file", str(tmp_path), family]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    *wrong, summary = ended.stdout.splitlines()

    assert not wrong
    assert "all is found again" in summary
    assert int(summary.split(" scans, ")[1].split()[0]) > 20, f"the faults had no effect: {summary}"
    paths = int(summary.split()[0]) // SCANS_OF_A_PATH
    assert int(summary.split(" wrong, ")[1].split()[0]) >= paths > 0, f"not all hung: {summary}"
