"""The plugins of a simulation: started together, watched while they run, stopped together."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from xpu_simulator.errors import ImpossibleError
from xpu_simulator.guardian import end_members
from xpu_simulator.page import Page
from xpu_simulator.plugin_process import PluginProcess, start_plugin
from xpu_simulator.report import Report
from xpu_simulator.workspace import Workspace


class Plugins:
    """`failed` is done when a plugin has ended by itself: its name with how it ended, and its last lines."""

    def __init__(
        self,
        commands: Sequence[list[str]],
        report: Report,
        page: Page,
        workspace: Workspace,
        *,
        show_output: bool,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.failed: asyncio.Future[tuple[str, Sequence[str]]] = asyncio.get_running_loop().create_future()
        self._commands = commands
        self._report = report
        self._page = page
        self._workspace = workspace
        self._show_output = show_output
        self._environment = environment  # added to ours
        self._running: dict[PluginProcess, asyncio.Task[None]] = {}

    @property
    def pids(self) -> Mapping[str, int]:
        """Those that run, by name; of several with one name the one that started last."""
        return {plugin.name: plugin.pid for plugin in self._running}

    async def start(self) -> None:
        for command in self._commands:
            await self._start(command)

    async def _start(self, command: list[str]) -> None:
        name = Path(command[0]).name
        show = partial(self._page.output, name) if self._show_output else _nothing
        plugin = await start_plugin(command, root=self._workspace.root, show=show, environment=self._environment)
        self._workspace.lives(plugin.pid)
        self._running[plugin] = asyncio.create_task(self._watch(plugin))
        self._report.event("plugin", f"{name} starts as process {plugin.pid}")

    async def stop(self) -> None:
        running, self._running = self._running, {}
        for watching in running.values():
            watching.cancel()
        endings = await asyncio.gather(*(plugin.stop() for plugin in running))
        end_members(self._workspace.root)  # children that have left their plugin's process group
        for plugin, ending in zip(running, endings, strict=True):
            self._workspace.ended(plugin.pid)
            self._report.event("plugin", f"{plugin.name} {ending}")

    async def kill(self, name: str) -> None:
        """Kill a program, as a container that dies, and start it again; ImpossibleError when none has that name."""
        for plugin, watching in list(self._running.items()):
            if plugin.name == name:
                watching.cancel()
                del self._running[plugin]
                ending = await plugin.kill()
                self._workspace.ended(plugin.pid)
                self._report.event("plugin", f"{plugin.name} {ending}")
                await self._start(next(command for command in self._commands if Path(command[0]).name == name))
                return
        names = ", ".join(sorted(plugin.name for plugin in self._running))
        raise ImpossibleError(f"no program {name!r} runs; there are {names or 'none'}")

    async def __aenter__(self) -> "Plugins":
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def _watch(self, plugin: PluginProcess) -> None:
        ending = await plugin.ended()
        if not self.failed.done():
            self.failed.set_result((f"{plugin.name} {ending}", plugin.last_lines))


def _nothing(_line: str) -> None:
    """A plugin's output is shown when it fails."""
