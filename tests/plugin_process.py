"""A plugin's program as a process of its own, beside a simulated kubelet."""

import asyncio
import contextlib
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from xpu_simulator.kubelet.simulated import SimulatedKubelet


@dataclass(frozen=True)
class PluginNode:
    root: Path
    kubelet: SimulatedKubelet

    def uevent(self, subsystem: str, *, action: str = "change") -> None:
        """Tell the program that something happened, as the kernel would."""
        text = f"{action}@/devices/x\0ACTION={action}\0DEVPATH=/devices/x\0SUBSYSTEM={subsystem}\0"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(text.encode(), str(self.root / "uevents"))


@asynccontextmanager
async def plugin_process(module: str, *arguments: str, before: Sequence[str] = ()) -> AsyncIterator[PluginNode]:
    """Run `python -m module` beside a kubelet; at the end it must end with 0.

    Args:
        before: a command line that runs the one given to it.
    """
    with tempfile.TemporaryDirectory(prefix="node-") as directory:  # a socket's path must be short
        async with _running(Path(directory), module, arguments, before) as node:
            yield node


@asynccontextmanager
async def _running(
    root: Path, module: str, arguments: Sequence[str], before: Sequence[str]
) -> AsyncIterator[PluginNode]:
    places = [f"--kubelet-dir={root}", f"--cdi-dir={root}/cdi", f"--uevent-socket={root}/uevents"]
    command = [*before, sys.executable, "-m", module, *places, *arguments]
    async with SimulatedKubelet(root) as kubelet:
        process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        reading = asyncio.ensure_future(process.communicate())
        try:
            yield PluginNode(root, kubelet)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            _, errors = await asyncio.wait_for(reading, 10)
            assert process.returncode == 0, errors.decode()
