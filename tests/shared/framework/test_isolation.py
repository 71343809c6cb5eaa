"""Six plugins in one process, one of which misbehaves: the others neither notice nor wait."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from xpu_simulator.kubelet.events import Event, ListReceived
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.uevents import Uevent, UeventSender

PROGRAM = """
import os, random, sys, time
from pathlib import Path
from xpu_shared.device import Device, DeviceNode, ScanResult
from xpu_shared.program.settings import PluginSettings
from xpu_shared.runner import run

class Good:
    def __init__(self, directory):
        self.directory = directory
        self.namespace = f"{directory.name}.intel.com"
        self.subsystems = frozenset({directory.name})

    def scan(self):
        return ScanResult(devices={"unit": [Device(id=name) for name in sorted(os.listdir(self.directory))]})

class Bad:
    namespace = "bad.intel.com"
    subsystems = frozenset({"bad"})

    def __init__(self, misdeed):
        self.misdeed = misdeed
        self.scans = 0
        if misdeed == "subsystems":
            self.subsystems = None

    def scan(self):
        self.scans += 1
        match self.misdeed:
            case "raises":
                raise RuntimeError("no such thing")
            case "hangs":
                with open(root / "pipe") as pipe:  # nobody ever writes to it
                    pipe.read()
            case "exits":
                sys.exit(3)
            case "stops":
                raise StopIteration
            case "computes":
                while True:
                    pass
            case "floods":  # other ones each time, so that all of it is told, and then nothing is told of the gone
                ids = [f"{self.scans % 7}{number:05}" for number in range(100_000)]
                random.shuffle(ids)
                return ScanResult(devices={"unit": [Device(id=id_, nodes=NODES) for id_ in ids]})
            case "rambles":
                return ScanResult(devices={"unit": [Device(id=f"{number} {'x' * 80}") for number in range(100_000)]})
            case "lies":
                return "everything is fine"
        return ScanResult(devices={})

    @property
    def watched_directories(self):
        if self.misdeed == "directories":
            raise RuntimeError("which directories?")
        return ()

NODES = (DeviceNode(host_path="/dev/null", container_path="/dev/null"),)
root = Path(sys.argv[1])
settings = PluginSettings(
    kubelet_dir=root, cdi_dir=root / "cdi", uevent_socket=root / "uevents", lost_device_retention=0.0
)
good = [Good(root / name) for name in sys.argv[3:]]
sys.exit(run([*good[:2], Bad(sys.argv[2]), *good[2:]], settings, program="test"))
"""
GOOD = ("a", "b", "c", "d", "e")
MISDEEDS = (
    "raises",
    "hangs",
    "exits",
    "stops",
    "computes",
    "floods",
    "rambles",
    "lies",
    "subsystems",
    "directories",
)


@dataclass(frozen=True)
class Node:
    root: Path
    kubelet: SimulatedKubelet
    child: asyncio.subprocess.Process

    def tell(self, subsystem: str) -> None:
        UeventSender(self.root / "uevents").send([Uevent(action="add", devpath="/devices/x", subsystem=subsystem)])

    async def all_list(self, count: int) -> None:
        for name in GOOD:
            await self.kubelet.wait_for_list(
                f"{name}.intel.com/unit", lambda listed: listed.allocatable == count, timeout=20
            )


@asynccontextmanager
async def node(misdeed: str) -> AsyncIterator[Node]:
    with tempfile.TemporaryDirectory(prefix="xpu") as directory:
        root = Path(directory)
        os.mkfifo(root / "pipe")
        for name in GOOD:
            (root / name).mkdir()
            (root / name / "one").touch()
        async with SimulatedKubelet(root) as kubelet:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-c", PROGRAM, directory, misdeed, *GOOD, stderr=asyncio.subprocess.DEVNULL
            )
            try:
                yield Node(root, kubelet, child)
            finally:
                if child.returncode is None:
                    child.kill()
                await child.wait()


@pytest.mark.parametrize("misdeed", MISDEEDS)
async def test_what_one_plugin_does_leaves_the_others_untouched(misdeed: str) -> None:
    async with node(misdeed) as running:
        await running.all_list(1)
        for count in (2, 3, 4):
            running.tell("bad")  # at the same time it is at it again
            for name in GOOD:
                (running.root / name / f"number {count}").touch()
                running.tell(name)
            await running.all_list(count)
        assert set(running.kubelet.resources) - {f"{name}.intel.com/unit" for name in GOOD} <= {"bad.intel.com/unit"}

        began = time.monotonic()
        running.child.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(running.child.wait(), 10) == 0
        assert time.monotonic() - began < 5


async def test_100000_devices_are_listed_and_others_are_listed_meanwhile() -> None:
    lists: list[ListReceived] = []

    def note(event: Event) -> None:
        if isinstance(event, ListReceived):
            lists.append(event)

    async with node("floods") as running:
        running.kubelet.events.subscribe(note)
        await running.kubelet.wait_for_list(
            "bad.intel.com/unit", lambda listed: listed.allocatable == 100_000, timeout=30
        )
        await running.all_list(1)
        first = next(event for event in lists if event.resource == "bad.intel.com/unit")
        others = [event.at for event in lists if event.resource != "bad.intel.com/unit"]
        assert min(others) < first.at, "the others waited for the many devices"
