"""A simulated node with its kubelet and programs, whose wall clock can jump, and what is seen of it from outside."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from soak.pages import PluginPage, plugin_page, sidecar_page
from soak.said import Page
from soak.truth import HEALTHY, UNHEALTHY, Id
from web_pages import fetch, free_port
from xpu_simulator.actions import Actions
from xpu_simulator.kubelet.cdi import cdi_names
from xpu_simulator.kubelet.events import Event, ListReceived, Registration
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.lines import Lines
from xpu_simulator.node import Node
from xpu_simulator.plugin_process import command_line
from xpu_simulator.plugins import Plugins
from xpu_simulator.report import Report
from xpu_simulator.run import FEATURES, places
from xpu_simulator.simulated_node import SimulatedNode
from xpu_simulator.workspace import Workspace

EXPIRY = "# +expiry-time="  # begins a feature file; NFD's word
FILE_NAME = "xpu-level-zero.txt"
MAY_BE_EMPTY = "sgx.intel.com/"  # what is no hardware of its own leaves nothing behind when it goes
CLOCK = Path(__file__).with_name("clock")


@dataclass
class Machine:
    node: SimulatedNode
    kubelet: SimulatedKubelet
    actions: Actions
    plugins: Plugins
    report: Report
    metrics_ports: Sequence[int]  # of the plugin, and of the sidecar if there is one
    ahead: int = 0  # seconds of the programs' wall clock
    wrong: list[str] = field(default_factory=list)  # what must never be seen, in words
    lists: int = 0
    registrations: int = 0

    def listed(self) -> dict[Id, str]:
        """What the kubelet knows."""
        return {
            (name, device.id): HEALTHY if device.healthy else UNHEALTHY
            for name, resource in self.kubelet.resources.items()
            for device in resource.devices.values()
        }

    async def plugin_page(self) -> PluginPage:
        """What the plugin's metrics say; OSError while there is no page."""
        _, text = await fetch(self.metrics_ports[0], "/metrics")
        return plugin_page(text)

    async def sidecar_page(self) -> Page:
        """What the sidecar's metrics say; OSError while there is no page."""
        _, text = await fetch(self.metrics_ports[1], "/metrics")
        return sidecar_page(text)

    def labels(self) -> tuple[dict[str, str], float]:
        """What the sidecar's file has, and for how many seconds by its clock; OSError while there is none."""
        first, *lines = (self.node.tree.root / FEATURES / FILE_NAME).read_text().splitlines()
        expires = datetime.fromisoformat(first.removeprefix(EXPIRY)).timestamp()
        return dict(line.split("=", 1) for line in lines), expires - time.time() - self.ahead

    def pause(self, program: str, *, on: bool) -> None:
        """Stop a program with all it has started, as a machine that is short of everything does, or let it go on."""
        os.killpg(self.plugins.pids[program], signal.SIGSTOP if on else signal.SIGCONT)

    def jump(self, seconds: int) -> None:
        """Set the programs' wall clock; seconds ahead of the real one."""
        self.ahead = seconds
        path = self.node.tree.root / "clock"
        path.with_suffix(".new").write_text(str(seconds))
        path.with_suffix(".new").replace(path)

    def see(self, event: Event) -> None:
        match event:
            case ListReceived(healthy=[], unhealthy=[]) if not event.resource.startswith(MAY_BE_EMPTY):
                self.wrong.append(f"an empty list of {event.resource}")
            case ListReceived():
                self.lists += 1
            case Registration(error=""):
                self.registrations += 1
            case Registration():
                self.wrong.append(f"{event.resource} was refused at {event.endpoint}: {event.error}")


class Story(Lines):
    """What happens and what programs say, in one file."""

    def output(self, name: str, line: str) -> None:
        self.details([f"{name} | {line}"])


@asynccontextmanager
async def machine(node: Node, commands: Sequence[str], log: Path) -> AsyncIterator[Machine]:
    """Run these commands on a node; what happens goes to `log`, line by line."""
    ports = [free_port() for _ in commands]
    with log.open("w") as out, Workspace() as workspace:
        root = workspace.root
        (root / "clock").write_text("0")
        (root / FEATURES).mkdir()
        page = Story(out, colour=False)
        report = Report(page)
        paths = [places(root, number, f"127.0.0.1:{port}", "") for number, port in enumerate(ports)]
        lines = [command_line(text, own) for text, own in zip(commands, paths, strict=True)]
        simulated = SimulatedNode(node, root, root / "uevents-0")
        if any("level_zero_library" in text or "level-zero" in text for text in commands):
            await asyncio.to_thread(simulated.library.compile)
        kubelet = SimulatedKubelet(root / "kubelet", cdi_device_exists=lambda name: name in cdi_names(root / "cdi"))
        environment = {**simulated.library.environment, "XPU_SOAK_CLOCK": f"{root}/clock", "PYTHONPATH": str(CLOCK)}
        plugins = Plugins(lines, report, page, workspace, show_output=True, environment=environment)
        actions = Actions(simulated, kubelet, plugins, report, lost_at_reboot=[root / "cdi"])
        running = Machine(simulated, kubelet, actions, plugins, report, ports)
        kubelet.events.subscribe(report.kubelet_event)
        kubelet.events.subscribe(running.see)
        async with kubelet, plugins:
            yield running
