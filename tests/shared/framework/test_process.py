"""A plugin as a process of its own: how it ends, and what it does to its surroundings."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, sys
from pathlib import Path
from xpu_shared.device import Device, ScanResult
from xpu_shared.program.settings import PluginSettings
from xpu_shared.runner import run

class Plugin:
    namespace = "demo.intel.com"
    subsystems = frozenset({"demo"})
    warnings = ("these settings are odd",)

    def scan(self):
        if sys.argv[2] == "hang":
            with open(sys.argv[3]) as pipe:  # nobody ever writes to it
                pipe.read()
        return ScanResult(devices={"unit": [Device(id="unit0")]})

    @property
    def watched_directories(self):  # asked for on the event loop
        if sys.argv[2] == "stubborn":
            self.task = asyncio.ensure_future(never_ends())
        if sys.argv[2] == "broken":
            raise RuntimeError("nobody foresaw this")
        return ()

async def never_ends():
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

root = Path(sys.argv[1])
settings = PluginSettings(kubelet_dir=root, cdi_dir=root / "cdi", uevent_socket=root / "uevents")
sys.exit(run([Plugin()], settings, program="test"))
"""


@asynccontextmanager
async def process(*arguments: object) -> AsyncIterator[asyncio.subprocess.Process]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, *map(str, arguments), stderr=asyncio.subprocess.PIPE
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def line_with(child: asyncio.subprocess.Process, text: str) -> str:
    """The first line of its log that has the text."""
    assert child.stderr is not None
    while line := (await asyncio.wait_for(child.stderr.readline(), 20)).decode():
        if text in line:
            return line
    raise AssertionError(f"the log ended without {text!r}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_during_a_scan_that_hangs_in_a_read_ends_the_process_in_time(
    tmp_path: Path, number: signal.Signals
) -> None:
    os.mkfifo(tmp_path / "pipe")
    async with process(tmp_path, "hang", tmp_path / "pipe") as child:
        await line_with(child, "starts")
        child.send_signal(number)

        assert await asyncio.wait_for(child.wait(), 5) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_more_signals_while_it_ends_change_nothing(tmp_path: Path, number: signal.Signals) -> None:
    async with process(tmp_path, "scan") as child:
        await line_with(child, "cannot register yet")
        ended = asyncio.ensure_future(child.wait())
        while not ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, number)  # the child's own send_signal would take its exit code from `wait`
            await asyncio.wait({ended}, timeout=0.001)

        assert child.returncode == 0


async def test_whatever_does_not_want_to_end_ends_with_the_process_in_time(tmp_path: Path) -> None:
    async with process(tmp_path, "stubborn") as child:
        await line_with(child, "cannot register yet")
        child.terminate()

        assert await asyncio.wait_for(child.wait(), 5) == 0


async def test_a_process_whose_only_plugin_is_broken_says_so_and_is_no_success(tmp_path: Path) -> None:
    async with process(tmp_path, "broken") as child:
        assert "nobody foresaw this" in await line_with(child, "a plugin is left out")
        assert await asyncio.wait_for(child.wait(), 5) == 1


async def test_without_a_kubelet_it_says_so_once_and_ends_at_a_signal(tmp_path: Path) -> None:
    async with process(tmp_path, "scan") as child:
        line = await line_with(child, "cannot register yet")
        assert str(tmp_path / "device-plugins") in line
        child.terminate()

        assert await asyncio.wait_for(child.wait(), 5) == 0
        assert child.stderr is not None
        assert b"cannot register yet" not in await child.stderr.read()
    assert os.listdir(tmp_path) == []


async def test_what_a_plugin_warns_of_is_in_the_log(tmp_path: Path) -> None:
    async with process(tmp_path, "scan") as child:
        line = await line_with(child, "these settings are odd")

    assert line.startswith("W")
    assert 'plugin="demo.intel.com"' in line


async def test_imports_follow_features(tmp_path: Path) -> None:
    """Metrics, YAML and models cost memory that a plugin without them does not pay."""
    code = (
        "import sys, xpu_shared.runner;"
        "print(sorted({'prometheus_client', 'yaml', 'pydantic', 'pyudev', 'http.server'} & set(sys.modules)))"
    )
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    output, _ = await child.communicate()

    assert output.decode().strip() == "[]"
