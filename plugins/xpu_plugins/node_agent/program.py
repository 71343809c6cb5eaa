"""The node agent as a program."""

import sys
from collections.abc import Sequence

from xpu_plugins.node_agent.families import program
from xpu_plugins.node_agent.settings import NAME, LoadedAgent, load
from xpu_shared.plugin import Plugin
from xpu_shared.plugin_program import DISCOVER
from xpu_shared.program.flags import HelpRequested, UsageError
from xpu_shared.program.logs import Log
from xpu_shared.program.output import write
from xpu_shared.program.signals import die_of_signals, end_on_signals

log = Log("node agent")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit code.

    Args:
        arguments: without the program's name; by default those of this process.
    """
    given = sys.argv[1:] if arguments is None else arguments
    try:
        loaded = load(given, words={"discover": DISCOVER})
        if "output" in loaded.agent.given and not loaded.agent.words:
            raise UsageError(f"--output={loaded.agent.settings.output} is only for discover")
    except HelpRequested as help_text:
        return write(str(help_text), program=NAME)
    except UsageError as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return 2
    if loaded.agent.words:
        if arguments is None:
            die_of_signals()
        from xpu_plugins.node_agent.discover import discover  # noqa: PLC0415 - the agent at work does not need it

        return discover(loaded)
    return _run(loaded)


def _run(loaded: LoadedAgent) -> int:
    end_on_signals()
    from xpu_shared.program import logs  # noqa: PLC0415
    from xpu_shared.runner import run  # noqa: PLC0415 - with gRPC, which discover does not need

    settings = loaded.agent.settings
    logs.configure(settings.log_format, settings.v)
    for family in loaded.unused:
        log.warning("a section of the file is not used: its family is not run", section=family)
    return run(_plugins(loaded), settings, program=NAME)


def _plugins(loaded: LoadedAgent) -> list[Plugin]:
    """Those of the chosen families; one that cannot be made costs only itself."""
    plugins: list[Plugin] = []
    for family, settings in loaded.families.items():
        try:
            plugins.append(program(family).plugin(settings))
        except Exception as error:  # noqa: BLE001 - one family's mistake must not cost the others
            log.error("a family is left out", family=family, error=repr(error))
    return plugins
