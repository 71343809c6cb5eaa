"""`xpu-simulator run`: a node, a kubelet and plugins in a temporary directory, for a scenario or until Ctrl-C."""

import asyncio
import signal
import ssl
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpu_simulator.actions import Actions
from xpu_simulator.control import Control, listening, socket_path
from xpu_simulator.errors import UsageError
from xpu_simulator.exports import Exports, free_address
from xpu_simulator.fabric.xpu_manager import XpuManager
from xpu_simulator.kubelet.cdi import cdi_names
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.level_zero.build import SONAME
from xpu_simulator.node import Node
from xpu_simulator.page import Page
from xpu_simulator.player import Player
from xpu_simulator.plugin_process import command_line
from xpu_simulator.plugins import Plugins
from xpu_simulator.report import Report
from xpu_simulator.restarts import Restarts
from xpu_simulator.scenario import Scenario
from xpu_simulator.simulated_node import SimulatedNode
from xpu_simulator.status import Observer
from xpu_simulator.workspace import Workspace

FEATURES = "features.d"  # below the node's root, for NFD's feature files
XPUM_URL = "{xpum_url}"  # in a command: there has to be an XPU Manager


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What to run."""

    node: Node
    scenario: Scenario | None  # None: until it is interrupted
    plugins: Sequence[str]  # commands, of sidecars too
    kubelet_version: str
    topology_policy: str
    show_output: bool  # of the plugins
    xpum_tls: ssl.SSLContext | None = None  # of the XPU Manager; None: plain HTTP
    xpum_token: str = ""  # that it asks for
    name: str  # by which commands from other terminals choose it


async def run(simulation: Simulation, page: Page, workspace: Workspace) -> int:
    """Run it, and answer with the exit code."""
    report = Report(page)
    interruption = _interruption(page)
    root = workspace.root
    shown: list[SimulatedNode] = []
    xpum = _xpu_manager(simulation, lambda: "".join(node.xpu_manager_page() for node in shown))
    xpum_url = xpum.url if xpum else ""
    addresses = [free_address() for _ in simulation.plugins]
    paths = [places(root, number, address, xpum_url) for number, address in enumerate(addresses)]
    commands = [command_line(text, place) for text, place in zip(simulation.plugins, paths, strict=True)]
    listeners = [Path(place["uevent_socket"]) for place in paths]
    (root / FEATURES).mkdir()
    heard = [path for path, command in zip(listeners, commands, strict=True) if _mentions(command, path)]
    node = SimulatedNode(simulation.node, root, *heard)
    shown.append(node)
    if any(_mentions(command, node.library.path) for command in commands):
        node.library.compile()
    kubelet = _kubelet(simulation, root)
    status = Observer(simulation.name, node, kubelet, version=simulation.kubelet_version).status
    plugins = Plugins(
        commands, report, page, workspace, show_output=simulation.show_output, environment=node.library.environment
    )
    actions = Actions(node, kubelet, plugins, report, lost_at_reboot=[root / "cdi"])
    report.event("node", f"{_hardware_text(node)} and kubelet {simulation.kubelet_version} in {root}")
    kubelet.events.subscribe(report.kubelet_event)
    Restarts(kubelet, report)
    scenario = simulation.scenario
    serving = AsyncExitStack()
    if xpum is not None:
        serving.callback(xpum.close)
        report.event("xpum", f"an XPU Manager serves {xpum.url}")
    async with (
        serving,
        listening(socket_path(root, simulation.name), Control(actions, report, status).answer),
        kubelet,
        plugins,
        page.showing(status),
    ):
        exports = Exports(addresses, root / FEATURES)
        playing = Player(actions, kubelet, report, exports).play(scenario) if scenario else _forever()
        await _until_the_end(playing, plugins, interruption, report)
    report.summary()
    if interruption.done() and (scenario or interruption.result() == signal.SIGPIPE):
        return 128 + interruption.result()  # as shells tell which signal ended a program
    return 1 if report.failures else 0


def _interruption(page: Page) -> asyncio.Future[int]:
    """The signal by which the user ends the run; later ones wait for the cleaning up."""
    loop = asyncio.get_running_loop()
    interruption: asyncio.Future[int] = loop.create_future()

    def interrupt(number: int) -> None:
        if not interruption.done():
            interruption.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupt, number)
    page.reader_gone = lambda: interrupt(signal.SIGPIPE)
    return interruption


def _xpu_manager(simulation: Simulation, text: Callable[[], str]) -> XpuManager | None:
    """One if a command asks for it."""
    if not any(XPUM_URL in command for command in simulation.plugins):
        return None
    return XpuManager(text, tls=simulation.xpum_tls, token=simulation.xpum_token)


def places(root: Path, plugin: int, address: str, xpum_url: str) -> Mapping[str, Path | str]:
    """Where a plugin finds its node: all of them on the same one, each with its own socket for events and its page."""
    return {
        "sysfs_root": root / "sys",
        "dev_root": root / "dev",
        "host_dev_root": root / "dev",
        "kubelet_dir": root / "kubelet",
        "cdi_dir": root / "cdi",
        "uevent_socket": root / f"uevents-{plugin}",
        "level_zero_library": root / "level-zero" / SONAME,
        "xpum_url": xpum_url,
        "topology": f"ipc://{root}/telemetry/xelink.sock",
        "telemetry": f"ipc://{root}/telemetry/level-zero.sock",
        "features_dir": root / FEATURES,
        "metrics_address": address,
    }


def _hardware_text(node: SimulatedNode) -> str:
    return ", ".join(f"{len(devices)} {title}" for title, devices in node.devices.items()) or "no devices"


def _mentions(command: Sequence[str], path: Path) -> bool:
    return any(str(path) in argument for argument in command)


def _kubelet(simulation: Simulation, root: Path) -> SimulatedKubelet:
    try:
        return SimulatedKubelet(
            root / "kubelet",
            version=simulation.kubelet_version,
            topology_policy=simulation.topology_policy,
            cdi_device_exists=lambda name: name in cdi_names(root / "cdi"),
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


async def _forever() -> None:
    await asyncio.Event().wait()


async def _until_the_end(
    playing: Coroutine[None, None, None], plugins: Plugins, interruption: asyncio.Future[int], report: Report
) -> None:
    """Until the scenario is over, a plugin dies or a signal comes, whatever is first."""
    scenario = asyncio.create_task(playing)
    try:
        causes: list[asyncio.Future[Any]] = [scenario, interruption, plugins.failed]
        await asyncio.wait(causes, return_when=asyncio.FIRST_COMPLETED)
        if interruption.done():
            report.event("signal", signal.Signals(interruption.result()).name)
        if plugins.failed.done():
            ending, last_lines = plugins.failed.result()
            report.failed(f"{ending}; its last lines were:")
            report.details(last_lines)
        if scenario.done():
            scenario.result()
    finally:
        scenario.cancel()
        await asyncio.gather(scenario, return_exceptions=True)
