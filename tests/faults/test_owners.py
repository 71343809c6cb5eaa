"""Directories that belong to somebody else, for a process as in a container: root, without any capability."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.node import Gpu
from xpu_simulator.tree import SimulatedTree

PROGRAM = Path(sys.executable).with_name("xpu-gpu-plugin")
WITHOUT_CAPABILITIES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
RESOURCE = "gpu.intel.com/i915"
SOMEBODY = 12_345
PATIENCE = 40.0  # seconds
LABELS = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from xpu_shared.labels.feature_file import FeatureFile, FeatureFileError
try:
    FeatureFile(Path(sys.argv[1])).update({"a": "b"}, now=datetime.now(UTC))
except FeatureFileError as error:
    sys.exit(str(error))
"""

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("setpriv") is None, reason="needs root, and setpriv of util-linux"
)


async def test_a_kubelet_directory_of_somebody_else_is_told_and_waited_for(tmp_path: Path) -> None:
    async with SimulatedKubelet(tmp_path / "k") as kubelet:
        os.chown(kubelet.device_plugins, SOMEBODY, SOMEBODY)
        process = await _plugin(tmp_path)
        assert process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            while b"EACCES" not in (line := await process.stderr.readline()):
                assert line, "the plugin has ended"
        assert str(kubelet.device_plugins).encode() in line

        os.chown(kubelet.device_plugins, 0, 0)
        await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 1, timeout=PATIENCE)
        await _ended(process)


async def test_a_cdi_directory_of_somebody_else_costs_the_files_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "cdi").mkdir()
    os.chown(tmp_path / "cdi", SOMEBODY, SOMEBODY)
    async with SimulatedKubelet(tmp_path / "k") as kubelet:
        process = await _plugin(tmp_path)
        await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 1, timeout=PATIENCE)
        said = await _ended(process)
    assert f"{tmp_path}/cdi" in said
    assert "Permission denied" in said
    assert not list((tmp_path / "cdi").iterdir())


def test_a_label_directory_of_somebody_else_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "features" / "labels.txt"
    file.parent.mkdir()
    os.chown(file.parent, SOMEBODY, SOMEBODY)
    ended = subprocess.run(
        [*WITHOUT_CAPABILITIES, sys.executable, "-c", LABELS, str(file)], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr.strip()) == (1, f"{file}: Permission denied")


async def _plugin(root: Path) -> asyncio.subprocess.Process:
    tree = SimulatedTree(root, device_nodes=False)
    tree.add_gpu(Gpu())
    return await asyncio.create_subprocess_exec(
        *WITHOUT_CAPABILITIES,
        PROGRAM,
        f"--sysfs-root={tree.sysfs}",
        f"--dev-root={tree.dev}",
        f"--kubelet-dir={root}/k",
        f"--cdi-dir={root}/cdi",
        f"--uevent-socket={root}/uevents",
        stderr=asyncio.subprocess.PIPE,
    )


async def _ended(process: asyncio.subprocess.Process) -> str:
    """What it has said since."""
    process.terminate()
    _, said = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 0
    return said.decode()
