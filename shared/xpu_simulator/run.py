"""`xpu-simulator run`: a node, a kubelet and plugins in a temporary directory, for a scenario or until Ctrl-C."""

import asyncio
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xpu_simulator.errors import UsageError
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_simulator.node import Node
from xpu_simulator.player import Player
from xpu_simulator.plugin_process import PluginProcess, command_line, start_plugin
from xpu_simulator.report import Report
from xpu_simulator.scenario import Scenario
from xpu_simulator.simulated_node import SimulatedNode


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What to run."""

    node: Node
    scenario: Scenario | None  # None: until it is interrupted
    plugins: Sequence[str]  # commands
    kubelet_version: str
    show_output: bool  # of the plugins, on stderr


async def run(simulation: Simulation, report: Report) -> int:
    """Run it, clean up whatever happens, and answer with the exit code."""
    interruption = _interruption(report)
    with tempfile.TemporaryDirectory(prefix="xpu-sim-") as directory:
        root = Path(directory)
        commands = [command_line(text, _paths(root, number)) for number, text in enumerate(simulation.plugins)]
        listeners = [_paths(root, number)["uevent_socket"] for number in range(len(commands))]
        heard = [path for path, command in zip(listeners, commands, strict=True) if _mentions(command, path)]
        node = SimulatedNode(simulation.node, root, *heard)
        async with _kubelet(simulation, root, report) as kubelet, _plugins(commands, simulation, report) as plugins:
            player = Player(node, kubelet, report)
            scenario = simulation.scenario
            await _until_the_end(player.play(scenario) if scenario else _forever(), plugins, interruption, report)
    report.summary()
    if interruption.done() and (scenario or interruption.result() == signal.SIGPIPE):
        return 128 + interruption.result()  # as shells tell which signal ended a program
    return 1 if report.failures else 0


def _interruption(report: Report) -> asyncio.Future[int]:
    """The signal by which the user ends the run; later ones wait for the cleaning up."""
    loop = asyncio.get_running_loop()
    interruption: asyncio.Future[int] = loop.create_future()

    def interrupt(number: int) -> None:
        if not interruption.done():
            interruption.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupt, number)
    report.reader_gone = lambda: interrupt(signal.SIGPIPE)
    return interruption


def _paths(root: Path, plugin: int) -> Mapping[str, Path]:
    """Where a plugin finds its node: all of them on the same one, each with a socket of its own for events."""
    return {
        "sysfs_root": root / "sys",
        "dev_root": root / "dev",
        "host_dev_root": root / "dev",
        "kubelet_dir": root / "kubelet",
        "cdi_dir": root / "cdi",
        "uevent_socket": root / f"uevents-{plugin}",
    }


def _mentions(command: Sequence[str], path: Path) -> bool:
    return any(str(path) in argument for argument in command)


@asynccontextmanager
async def _kubelet(simulation: Simulation, root: Path, report: Report) -> AsyncGenerator[SimulatedKubelet]:
    try:
        kubelet = SimulatedKubelet(root / "kubelet", version=simulation.kubelet_version)
    except ValueError as error:
        raise UsageError(str(error)) from error
    report.event("node", f"{len(simulation.node.gpus)} GPUs and kubelet {simulation.kubelet_version} in {root}")
    unsubscribe = kubelet.events.subscribe(report.kubelet_event)
    async with kubelet:
        yield kubelet
        unsubscribe()


@asynccontextmanager
async def _plugins(
    commands: Sequence[list[str]], simulation: Simulation, report: Report
) -> AsyncGenerator[list[PluginProcess]]:
    """The plugins; they are asked to end before the kubelet goes."""
    plugins: list[PluginProcess] = []
    try:
        for command in commands:
            plugins.append(await start_plugin(command, show=_output(command) if simulation.show_output else _nothing))
            report.event("plugin", f"{plugins[-1].name} starts as process {plugins[-1].pid}")
        yield plugins
    finally:
        endings = await asyncio.gather(*(plugin.stop() for plugin in plugins))
        for plugin, ending in zip(plugins, endings, strict=True):
            report.event("plugin", f"{plugin.name} {ending}")


def _output(command: Sequence[str]) -> Callable[[str], None]:
    name = Path(command[0]).name
    return lambda line: print(f"{name} | {line}", file=sys.stderr, flush=True)


def _nothing(_line: str) -> None:
    """A plugin's output is shown when it fails."""


async def _forever() -> None:
    await asyncio.Event().wait()


async def _until_the_end(
    playing: Coroutine[None, None, None],
    plugins: Sequence[PluginProcess],
    interruption: asyncio.Future[int],
    report: Report,
) -> None:
    """Until the scenario is over, a plugin dies or a signal comes, whatever is first."""
    scenario = asyncio.create_task(playing)
    endings = {asyncio.create_task(plugin.ended()): plugin for plugin in plugins}
    try:
        causes: list[asyncio.Future[Any]] = [scenario, interruption, *endings]
        await asyncio.wait(causes, return_when=asyncio.FIRST_COMPLETED)
        if interruption.done():
            report.event("signal", signal.Signals(interruption.result()).name)
        for ending, plugin in endings.items():
            if ending.done():
                report.failed(f"{plugin.name} {ending.result()}; its last lines were:")
                report.details(plugin.last_lines)
        if scenario.done():
            scenario.result()
    finally:
        for task in (scenario, *endings):
            task.cancel()
        await asyncio.gather(scenario, *endings, return_exceptions=True)
