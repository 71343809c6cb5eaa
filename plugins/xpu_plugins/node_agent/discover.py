"""`xpu-node-agent discover`: what each family would offer, and why it would not offer other devices."""

import json
import sys

from xpu_plugins.node_agent.families import program
from xpu_plugins.node_agent.settings import NAME, LoadedAgent
from xpu_shared.acceptance import accept
from xpu_shared.device import ScanResult
from xpu_shared.discovery import PATIENCE, as_table, as_values
from xpu_shared.looking import look_once
from xpu_shared.plugin import Plugin
from xpu_shared.program import logs
from xpu_shared.program.output import write
from xpu_shared.program.settings import FamilySettings


def discover(loaded: LoadedAgent) -> int:
    """Print it; the exit code is 1 when no family can see anything. One that cannot says so on standard error."""
    logs.silence()  # what there is to say is printed
    tables: list[str] = []
    values: dict[str, list[dict[str, object]]] = {"resources": [], "rejected": [], "problems": []}
    for family, settings in loaded.families.items():
        try:
            plugin, result = _scan(family, settings)
        except Exception as error:  # noqa: BLE001 - one family's mistake must not cost the others
            reason = str(error) if isinstance(error, OSError) else repr(error)
            print(f"{NAME}: {family}: no {program(family).unit} can be seen: {reason}", file=sys.stderr)
            continue
        table = as_table(plugin, result, unit=program(family).unit, columns=program(family).columns)
        tables.append(f"{family}\n{table}")
        for key, items in as_values(plugin, result).items():
            values[key] += [{"family": family, **item} for item in items]
    if loaded.agent.settings.output == "json":
        written = write(json.dumps(values, indent=2), program=NAME)
    else:
        written = write("\n\n".join(tables), program=NAME) if tables else 0
    return written if tables else 1


def _scan(family: str, settings: FamilySettings) -> tuple[Plugin, ScanResult]:
    plugin = program(family).plugin(settings)
    found = look_once(plugin, patience=PATIENCE)
    return plugin, accept(plugin.namespace, found, settings.socket_directories, instance=settings.instance)
