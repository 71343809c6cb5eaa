"""A small plugin of no family and a node for it to run on: what the framework's tests share."""

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from xpu_shared.device import Device, DeviceNode, Health, ScanResult
from xpu_shared.kubelet.registration import Timings
from xpu_shared.program.settings import PluginSettings
from xpu_shared.runner import Runner
from xpu_simulator.kubelet.events import ListReceived
from xpu_simulator.kubelet.simulated import SimulatedKubelet

RESOURCE = "demo.intel.com/unit"
QUICK = Timings(deadline=2.0, patience=0.3, settle=0.2, holders=0.1, quiet_holders=0.1, other_instance=0.1)


def unit(name: str, *, health: Health = Health.HEALTHY) -> Device:
    return Device(id=name, nodes=(DeviceNode(host_path=f"/dev/{name}", container_path=f"/dev/{name}"),), health=health)


@dataclass
class DemoPlugin:
    """Offers whatever `devices` says at the moment of a scan."""

    devices: dict[str, Sequence[Device]] = field(default_factory=lambda: {"unit": [unit("unit0"), unit("unit1")]})
    namespace: str = "demo.intel.com"
    subsystems: frozenset[str] = frozenset({"demo"})
    scans: int = 0
    _scanned: threading.Condition = field(default_factory=threading.Condition)

    def scan(self) -> ScanResult:
        with self._scanned:
            self.scans += 1
            self._scanned.notify_all()
        return ScanResult(devices=dict(self.devices))

    async def scanned(self, times: int) -> None:
        """Wait until so many scans have begun since the start."""

        def wait() -> bool:
            with self._scanned:
                return self._scanned.wait_for(lambda: self.scans >= times, timeout=10)

        assert await asyncio.to_thread(wait), f"{self.scans} scans, not {times}"


@dataclass
class Node:
    """A running plugin process's worth of framework beside a kubelet."""

    root: Path
    kubelet: SimulatedKubelet
    runner: Runner
    settings: PluginSettings
    lists: list[ListReceived]  # that the kubelet got, in order

    async def uevents(self, count: int, subsystem: str = "demo") -> None:
        """Many of them; the sender waits while the receiver's queue is full."""

        def send() -> None:
            for _ in range(count):
                self.uevent(subsystem)

        await asyncio.to_thread(send)

    def uevent(self, subsystem: str = "demo") -> None:
        """Tell the plugin that something happened, as the kernel would."""
        text = f"change@/devices/x\0ACTION=change\0DEVPATH=/devices/x\0SUBSYSTEM={subsystem}\0"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(text.encode(), str(self.settings.uevent_socket))

    @property
    def sockets(self) -> set[str]:
        """What is in the kubelet's directory besides its own files."""
        own = {"kubelet.sock", "DEPRECATION", "kubelet_internal_checkpoint"}
        return set(os.listdir(self.kubelet.device_plugins)) - own


@asynccontextmanager
async def running(
    root: Path,
    *plugins: object,
    kubelet: SimulatedKubelet | None = None,
    timings: Timings = QUICK,
    start_kubelet: bool = True,
    **settings: object,
) -> AsyncIterator[Node]:
    """Run plugins on a node below `root` for as long as the context lasts."""
    own = kubelet or SimulatedKubelet(root, version="1.37")
    values: Mapping[str, object] = {
        "kubelet_dir": root,
        "cdi_dir": root / "cdi",
        "uevent_socket": root / "uevents",
        **settings,
    }
    chosen = PluginSettings(**values)  # type: ignore[arg-type]  # tests name any of its fields
    runner = Runner(plugins, chosen, program="test", timings=timings)  # type: ignore[arg-type]  # as above
    lists: list[ListReceived] = []
    own.events.subscribe(lambda event: lists.append(event) if isinstance(event, ListReceived) else None)
    if start_kubelet and kubelet is None:
        await own.start()
    task = asyncio.create_task(runner.run())
    try:
        yield Node(root=root, kubelet=own, runner=runner, settings=chosen, lists=lists)
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=10)
        if kubelet is None:
            await own.__aexit__()


def usage() -> tuple[int, int]:
    """Open descriptors and threads of this process."""
    return len(os.listdir("/proc/self/fd")), threading.active_count()
