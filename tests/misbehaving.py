"""Six plugins in one process beside a kubelet, one of which misbehaves: for tests and for the bench."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.uevents import Uevent, UeventSender
from xpu_wire import deviceplugin_v1beta1_pb2 as pb
from xpu_wire.deviceplugin_v1beta1_pb2_grpc import DevicePluginStub

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
            case "floods" | "overflows":  # other ones each time, so that all of it is told, or is too much to be told
                end = "x" * 50 if self.misdeed == "overflows" else ""
                ids = [f"{self.scans % 7}{number:05}{end}" for number in range(100_000)]
                random.shuffle(ids)
                return ScanResult(devices={"unit": [Device(id=id_, nodes=NODES) for id_ in ids]})
            case "rambles":
                return ScanResult(devices={"unit": [Device(id=f"{number} {'x' * 80}") for number in range(100_000)]})
            case "lies":
                return "everything is fine"
        return ScanResult(devices={"unit": [Device(id="one")]} if self.misdeed == "dithers" else {})

    def prefer(self, device_type, available, must_include, size):
        while self.misdeed == "dithers":
            pass
        return available[:size]

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
    "overflows",
    "rambles",
    "lies",
    "subsystems",
    "directories",
    "dithers",
)


@dataclass(frozen=True)
class Node:
    root: Path
    kubelet: SimulatedKubelet
    child: asyncio.subprocess.Process

    def tell(self, subsystem: str) -> None:
        UeventSender(self.root / "uevents").send([Uevent(action="add", devpath="/devices/x", subsystem=subsystem)])

    def add(self, name: str, device: str) -> None:
        """One of the good plugins gets a device, and is told."""
        (self.root / name / device).touch()
        self.tell(name)

    async def prefers(self) -> None:
        """Ask the bad plugin which device it would give."""
        await self.lists("bad", 1)
        asked = pb.ContainerPreferredAllocationRequest(available_deviceIDs=["one"], allocation_size=1)
        request = pb.PreferredAllocationRequest(container_requests=[asked])
        async with grpc.aio.insecure_channel(f"unix:{self.kubelet.device_plugins}/bad.intel.com-unit.sock") as channel:
            await DevicePluginStub(channel).GetPreferredAllocation(request)

    async def lists(self, name: str, count: int) -> None:
        await self.kubelet.wait_for_list(
            f"{name}.intel.com/unit", lambda listed: listed.allocatable == count, timeout=30
        )

    async def all_list(self, count: int) -> None:
        for name in GOOD:
            await self.lists(name, count)


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
