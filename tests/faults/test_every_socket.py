"""Every socket operation of a plugin fails for a while, through a library before the C library: nothing is lost."""

import asyncio
import errno
import subprocess
import sys
from pathlib import Path

import pytest

from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.level_zero.build import compiler
from xpu_simulator.node import Gpu
from xpu_simulator.tree import SimulatedTree

SOURCE = Path(__file__).with_name("failing_sockets.c")
PROGRAM = Path(sys.executable).with_name("xpu-gpu-plugin")
RESOURCE = "gpu.intel.com/i915"
PATIENCE = 40.0  # seconds; a plugin without a stream registers again after 30
OPERATIONS = {
    "socket": errno.EMFILE,
    "bind": errno.EADDRINUSE,
    "listen": errno.EADDRINUSE,
    "connect": errno.ECONNREFUSED,
    "accept4": errno.EMFILE,
    "setsockopt": errno.ENOPROTOOPT,
    "getsockname": errno.ENOBUFS,
    "sendmsg": errno.EPIPE,
    "recvmsg": errno.ECONNRESET,
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("library") / "failing.so"
    subprocess.run([*compiler(), "-shared", "-fPIC", "-O1", "-o", str(target), str(SOURCE), "-ldl"], check=True)
    return target


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_whichever_call_fails_the_kubelet_gets_its_list(library: Path, operation: str, tmp_path: Path) -> None:
    """The first two calls fail, or two later ones; then the kubelet restarts."""
    failed = await asyncio.gather(*(_survives(library, operation, first, tmp_path) for first in (1, 3)))
    assert any(failed), f"no call of {operation} has failed"


async def _survives(library: Path, operation: str, first: int, directory: Path) -> int:
    """How many calls have failed."""
    root, log = directory / f"{first}", directory / f"{first}.failed"
    tree = SimulatedTree(root, device_nodes=False)
    for card in range(2):
        tree.add_gpu(Gpu(card=card))
    async with SimulatedKubelet(root / "k") as kubelet:
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            f"--sysfs-root={tree.sysfs}",
            f"--dev-root={tree.dev}",
            f"--kubelet-dir={root}/k",
            f"--cdi-dir={root}/cdi",
            f"--uevent-socket={root}/uevents",
            env={
                "LD_PRELOAD": str(library),
                "XPU_FAIL": f"{operation} {OPERATIONS[operation]} {first} 2",
                "XPU_FAILED": str(log),
            },
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 2, timeout=PATIENCE)
            await kubelet.restart()
            await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 2, timeout=PATIENCE)
        finally:
            if process.returncode is None:
                process.terminate()
            code = await asyncio.wait_for(process.wait(), 10)
        assert code == 0
    return log.stat().st_size if log.exists() else 0
