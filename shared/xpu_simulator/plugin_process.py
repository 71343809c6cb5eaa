"""A plugin as a child process: its command line, its output, its end."""

import asyncio
import io
import os
import shlex
import shutil
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from xpu_simulator.errors import UsageError
from xpu_simulator.guardian import VARIABLE

OUR_PREFIX = "xpu-"
PLUGIN_FLAGS = {
    "sysfs-root": "{sysfs_root}",
    "dev-root": "{dev_root}",
    "host-dev-root": "{host_dev_root}",
    "kubelet-dir": "{kubelet_dir}",
    "cdi-dir": "{cdi_dir}",
    "uevent-socket": "{uevent_socket}",
}
FLAGS = "{flags}"
METRICS = "{metrics_address}"  # may be given to a program that is told the rest by us
SIDECAR = "xpu-level-zero-sidecar"
SIDECAR_FLAGS = {
    "sysfs-root": "{sysfs_root}",
    "library": "{level_zero_library}",
    "publish": "{telemetry}",
    "metrics-address": "{metrics_address}",
    "kubelet-dir": "{kubelet_dir}",
    "features-dir": "{features_dir}",
}
XELINK_SIDECAR = "xpu-xelink-sidecar"
XELINK_FLAGS = {
    "sysfs-root": "{sysfs_root}",
    "library": "{level_zero_library}",
    "publish": "{topology}",
    "features-dir": "{features_dir}",
    "tmp-dir-prefix": "{features_dir}",
    "metrics-address": "{metrics_address}",
    "interval": "1",
    "startup-delay": "0",
}
OWN_FLAGS = {SIDECAR: SIDECAR_FLAGS, XELINK_SIDECAR: XELINK_FLAGS}
STOP_SECONDS = 5.0  # what a plugin has between SIGTERM and SIGKILL
KEPT_LINES = 20


def command_line(text: str, paths: Mapping[str, object]) -> list[str]:
    """The arguments of a command with `{sysfs_root}` and the like replaced.

    `{flags}` is what a program of ours has to be told, as flags. One of ours without a placeholder that stands for one
    of these gets them before its own.
    """
    try:
        parts = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--plugin {text!r}: {error}") from None
    if not parts:
        raise UsageError("--plugin needs a command")
    program, *arguments = parts
    placeholders = {f"{{{name}}}": str(path) for name, path in paths.items()}
    flags = _flags(Path(program).name)
    chosen = [value for value in flags.values() if value.startswith("{") and value != METRICS]
    if flags and not any(placeholder in text for placeholder in (FLAGS, *chosen)):
        arguments.insert(0, FLAGS)  # what is given wins
    told = [part for flag, value in (flags or PLUGIN_FLAGS).items() for part in (f"--{flag}", value)]
    arguments = [part for argument in arguments for part in (told if argument == FLAGS else [argument])]
    for placeholder, path in placeholders.items():
        arguments = [argument.replace(placeholder, path) for argument in arguments]
    return [_find(program), *arguments]


def _flags(program: str) -> Mapping[str, str]:
    """What a program of ours has to be told, as flags with placeholders."""
    if program in OWN_FLAGS:
        return OWN_FLAGS[program]
    return PLUGIN_FLAGS if program.startswith(OUR_PREFIX) else {}


def _find(program: str) -> str:
    """A program beside our interpreter is found even when its directory is not on PATH."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which(program, path=os.pathsep.join([beside, os.environ.get("PATH", os.defpath)]))
    if not found:
        raise UsageError(f"--plugin {program!r}: no such program here, in {beside} or on PATH")
    return str(Path(found).absolute())


async def start_plugin(
    command: list[str],
    *,
    root: Path,
    show: Callable[[str], None],
    environment: Mapping[str, str] = MappingProxyType({}),
) -> "PluginProcess":
    """Start a plugin of the simulation in `root`; `show` gets each line it writes, `environment` is added to ours."""
    # A pipe of our own: asyncio's wait() would last until a plugin's children have closed theirs.
    read_end, write_end = os.pipe()
    wrapper = Path(__file__).with_name("die_with_parent.py")
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(wrapper), str(os.getpid()), *command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=write_end,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **environment, VARIABLE: str(root)},
            process_group=0,  # Ctrl-C in a terminal reaches the simulator only, which then ends the plugin
        )
    finally:
        os.close(write_end)
    return PluginProcess(Path(command[0]).name, process, read_end, show=show)


class PluginProcess:
    """One running plugin."""

    def __init__(
        self, name: str, process: asyncio.subprocess.Process, output: int, *, show: Callable[[str], None]
    ) -> None:
        self.name = name
        self.last_lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._process = process
        self._show = show
        self._reading = asyncio.create_task(self._read(output))

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ended(self) -> str:
        """Wait until it has ended; the answer says how."""
        code = await self._process.wait()
        await self._finish_reading()
        return f"exited with {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"

    async def kill(self) -> str:
        """End it and whatever it has started without asking; the answer says how it ended."""
        self._signal(signal.SIGKILL)
        return await self.ended()

    async def stop(self, *, patience: float = STOP_SECONDS) -> str:
        """End it and whatever it has started; the answer says how it ended."""
        asked_in_vain = False
        if self._process.returncode is None:
            self._signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(patience):
                    await self._process.wait()
            except TimeoutError:
                asked_in_vain = True
        self._signal(signal.SIGKILL)
        how = await self.ended()
        return f"did not end in {patience:g} s after SIGTERM and was killed" if asked_in_vain else how

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # nobody is left in its group
            os.killpg(self._process.pid, number)

    async def _finish_reading(self) -> None:
        """Take the last lines; a child of the plugin may hold the pipe open."""
        await asyncio.wait([self._reading], timeout=0.2)
        self._reading.cancel()
        await asyncio.wait([self._reading])

    async def _read(self, descriptor: int) -> None:
        output = asyncio.StreamReader()
        with io.FileIO(descriptor) as pipe:
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(output), pipe
            )
            try:
                while not output.at_eof():
                    await self._read_line(output)
            finally:
                transport.close()

    async def _read_line(self, output: asyncio.StreamReader) -> None:
        try:
            line = (await output.readline()).decode("utf-8", "backslashreplace").rstrip("\n")
        except ValueError:  # longer than the stream's buffer, which is empty now
            return
        if line:
            self.last_lines.append(line)
            self._show(line)
