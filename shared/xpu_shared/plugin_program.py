"""A family's plugin as a program: its name, its settings, how the plugin is made of them, and the command line.

A program of one family runs its `main`; a program of many makes the plugins of several with `plugin`.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from xpu_shared.plugin import Plugin
from xpu_shared.program.flags import HelpRequested, UsageError
from xpu_shared.program.output import write
from xpu_shared.program.settings import FamilySettings, Loaded, load
from xpu_shared.program.signals import die_of_signals, end_on_signals
from xpu_shared.program.table import Column

DISCOVER = "print what would be offered, and why other devices would not, and exit"

S = TypeVar("S", bound=FamilySettings)


def as_given(loaded: Loaded[S]) -> S:
    return loaded.settings


@dataclass(frozen=True, kw_only=True)
class PluginProgram(Generic[S]):
    name: str  # e.g. "xpu-dlb-plugin"
    description: str
    settings_type: type[S]
    plugin: Callable[[S], Plugin]
    unit: str  # what one device is, in the singular, e.g. "work queue"
    columns: Sequence[Column] = ()  # of the table of `discover`, after those that every family has
    settings: Callable[[Loaded[S]], S] = as_given  # for settings that follow from which others were given

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Do what the command line says; returns the exit code.

        Args:
            arguments: without the program's name; by default those of this process.
        """
        given = sys.argv[1:] if arguments is None else arguments
        try:
            loaded = self.load(given)
        except HelpRequested as help_text:
            return write(str(help_text), program=self.name)
        except UsageError as error:
            print(f"{self.name}: {error}", file=sys.stderr)
            return error.exit_code
        settings = self.settings(loaded)
        if loaded.words:
            if arguments is None:
                die_of_signals()
            return self._discover(settings)
        end_on_signals()
        from xpu_shared.runner import run  # noqa: PLC0415 - with gRPC, which discover does not need

        return run([self.plugin(settings)], settings, program=self.name)

    def load(self, arguments: Sequence[str]) -> Loaded[S]:
        """What the command line says.

        Raises:
            HelpRequested, UsageError
        """
        words = {"discover": DISCOVER}
        loaded = load(self.settings_type, arguments, program=self.name, description=self.description, words=words)
        if "output" in loaded.given and not loaded.words:
            raise UsageError(f"--output={loaded.settings.output} is only for discover")
        return loaded

    def _discover(self, settings: S) -> int:
        from xpu_shared.discovery import discover  # noqa: PLC0415 - the plugin at work does not need it

        plugin = self.plugin(settings)
        return discover(plugin, settings, program=self.name, unit=self.unit, columns=self.columns)
