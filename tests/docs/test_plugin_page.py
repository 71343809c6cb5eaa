"""The page about writing plugins holds a plugin that works as it stands."""

import asyncio
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from xpu_simulator.kubelet.simulated import SimulatedKubelet

PAGE = Path(__file__).parents[2] / "docs/plugins.md"
RESOURCE = "example.com/serial"


def program() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    return str(code)


def plug(root: Path, name: str) -> None:
    (root / "sys/class/tty" / name).mkdir(parents=True)
    (root / "dev").mkdir(exist_ok=True)
    (root / "dev" / name).touch()


@asynccontextmanager
async def running(root: Path) -> AsyncIterator[SimulatedKubelet]:
    (root / "serial_plugin.py").write_text(program())
    flags = {"sysfs-root": "sys", "dev-root": "dev", "kubelet-dir": "", "cdi-dir": "cdi", "uevent-socket": "uevents"}
    arguments = [f"--{flag}={root / place}" for flag, place in flags.items()]
    async with SimulatedKubelet(root) as kubelet:
        process = await asyncio.create_subprocess_exec(sys.executable, root / "serial_plugin.py", *arguments)
        try:
            yield kubelet
        finally:
            process.terminate()
            assert await asyncio.wait_for(process.wait(), 10) == 0


def test_it_has_fewer_than_60_lines() -> None:
    assert len(program().splitlines()) < 60


async def test_it_offers_what_is_there_and_what_comes_later(tmp_path: Path) -> None:
    plug(tmp_path, "tty0")
    plug(tmp_path, "ttyUSB0")
    async with running(tmp_path) as kubelet:
        await kubelet.wait_for_list(RESOURCE, lambda listed: set(listed.devices) == {"ttyUSB0"})

        plug(tmp_path, "ttyUSB1")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            text = "add@/devices/usb/ttyUSB1\0ACTION=add\0DEVPATH=/devices/usb/ttyUSB1\0SUBSYSTEM=tty\0"
            sender.sendto(text.encode(), str(tmp_path / "uevents"))
        await kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 2)

        pod = await kubelet.admit("modem", {RESOURCE: 2})
        assert sorted(node.container_path for node in pod.given.nodes) == ["/dev/ttyUSB0", "/dev/ttyUSB1"]


def test_it_is_tried_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    (start,), (enter, plug_in, pod) = ([line.removeprefix("$ ") for line in block.splitlines()] for block in blocks)
    (tmp_path / "serial_plugin.py").write_text(program())
    monkeypatch.chdir(tmp_path)
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        programs = Path(sys.executable).parent
        environment = {**os.environ, "TMPDIR": place, "PATH": f"{programs}:{os.environ['PATH']}"}
        simulator = subprocess.Popen(
            shlex.split(start), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert simulator.stdout
        assert any("starts as process" in line for line in simulator.stdout)
        subprocess.run(f"{enter.replace('/tmp', place)} && {plug_in}", shell=True, check=True)
        assert any("1 of 1 healthy: ttyUSB0" in line for line in simulator.stdout)
        answer = subprocess.run(shlex.split(pod), env=environment, check=True, capture_output=True, text=True)
        simulator.terminate()
        simulator.communicate(timeout=20)
    assert answer.stdout == "pod modem runs with ttyUSB0\n"
    assert simulator.returncode == 0


async def test_a_bad_flag_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "serial_plugin.py").write_text(program())
    process = await asyncio.create_subprocess_exec(
        sys.executable, tmp_path / "serial_plugin.py", "--rescan-interval=soon", stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()

    assert process.returncode == 2
    assert errors.decode().count("\n") == 1


async def test_discover_says_what_it_would_offer(tmp_path: Path) -> None:
    (tmp_path / "serial_plugin.py").write_text(program())
    plug(tmp_path, "ttyUSB0")
    roots = [f"--sysfs-root={tmp_path}/sys", f"--dev-root={tmp_path}/dev"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, tmp_path / "serial_plugin.py", "discover", *roots, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()

    assert process.returncode == 0
    assert RESOURCE in printed.decode()
