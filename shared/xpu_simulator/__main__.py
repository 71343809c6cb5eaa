"""The program `xpu-simulator`: reads its command line and files, runs, answers with an exit code."""

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # read when grpc is imported; it would report each plugin that ends

from rich.console import Console

from xpu_simulator import fakedev
from xpu_simulator.commands import Commands, add_commands
from xpu_simulator.descriptions import node_examples, read_generator, read_node, read_scenario, scenario_examples
from xpu_simulator.errors import ImpossibleError, UsageError
from xpu_simulator.fields import NAME
from xpu_simulator.kubelet.topology import Policy
from xpu_simulator.lines import Lines, wants_colour
from xpu_simulator.live import LiveView
from xpu_simulator.remote import running
from xpu_simulator.run import Simulation, run
from xpu_simulator.workspace import Workspace
from xpu_simulator.written_tree import write_tree

DEFAULT_KUBELET = "1.36"

RUN = """\
Start a simulated node, its kubelet and plugins in a temporary directory, play a scenario, clean up.

NODE is a file, or the name of a shipped example: {nodes}.
So is the scenario: {scenarios}.
A plugin's command may contain {{sysfs_root}}, {{dev_root}}, {{host_dev_root}}, {{kubelet_dir}}, {{cdi_dir}} and
{{uevent_socket}}. One of our own programs (xpu-…) without any of these is given all of them as flags.
{{telemetry}} is the endpoint where the Level-Zero sidecar publishes, {{level_zero_library}} the library it reads.

In a terminal it is a live view of the whole terminal. With --plain, with a scenario, whose story is longer than a
terminal, and when stdout is no terminal, it writes a line for each event.
"""

FAKEDEV = """\
Do as the fake-device generator of Intel's device plugins does: write sys, dev and xpum-sidecar-labels.txt into the
current directory, in the place of what an earlier run has left.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return int(options.call(options))
    except UsageError as error:
        print(f"xpu-simulator: {error}", file=sys.stderr)
        return 2
    except (ImpossibleError, OSError) as error:
        print(f"xpu-simulator: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    node = read_node(options.node)
    scenario = read_scenario(options.scenario, node) if options.scenario else None
    simulation = Simulation(
        node=node,
        scenario=scenario,
        plugins=options.plugin,
        kubelet_version=options.kubelet_version,
        topology_policy=options.topology_policy,
        show_output=options.show_output,
        name=_free_name(options.simulator, options.node),
    )
    lines = Lines(sys.stdout, colour=wants_colour(sys.stdout))
    if options.plain or scenario or not sys.stdout.isatty() or os.environ.get("TERM") in (None, "", "dumb"):
        with Workspace() as workspace:
            return asyncio.run(run(simulation, lines, workspace))
    with Workspace(sys.stdout) as workspace:
        return asyncio.run(run(simulation, LiveView(Console(), lines, workspace), workspace))


def _free_name(wanted: str | None, node: str) -> str:
    """The name that is wanted, else the node's, with a number if that is taken."""
    taken = running()
    if wanted in taken:
        raise ImpossibleError(f"a simulator {wanted!r} is running already")
    stem = re.sub(r"[^A-Za-z0-9_-]", "-", Path(node).stem)[:40].lstrip("-_") or "node"
    names = (stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3)))
    return wanted or next(name for name in names if name not in taken)


def _tree(options: argparse.Namespace) -> int:
    write_tree(read_node(options.node), options.directory, device_nodes=not options.no_mknod)
    return 0


def _fakedev(options: argparse.Namespace) -> int:
    try:
        if not options.json:
            raise UsageError("-json: expected the name of a file")
        config = read_generator(options.json)
        if options.verbose:
            fakedev.log(f"INFO: {options.json}: {config!r}")
        fakedev.generate(config, options.root, device_nodes=not options.no_mknod)
    except (UsageError, ImpossibleError, OSError) as error:
        fakedev.log(f"ERROR: {error}")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="xpu-simulator", description="A Kubernetes node without hardware.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_run(commands)
    add_commands(commands)
    tree = commands.add_parser(
        "tree",
        help="write a node's sysfs and /dev into a directory",
        description="Write a node's sys and dev into a directory that is empty or was filled by this command.",
        allow_abbrev=False,
    )
    tree.add_argument("node", metavar="NODE", help="the description of a node")
    tree.add_argument("directory", metavar="DIRECTORY", type=Path)
    tree.add_argument("--no-mknod", action="store_true", help="regular files instead of device nodes, which need root")
    tree.set_defaults(call=_tree)
    fake = commands.add_parser(
        "fakedev", help="write fake devices as Intel's generator does", description=FAKEDEV, allow_abbrev=False
    )
    fake.add_argument("-json", "--json", metavar="FILE", help="the configuration, JSON or YAML")
    fake.add_argument("-verbose", "--verbose", action="store_true", help="show the configuration")
    fake.add_argument("-root", "--root", metavar="DIRECTORY", type=Path, default=Path(), help="instead of the current")
    fake.add_argument("-no-mknod", "--no-mknod", action="store_true", help="regular files instead of device nodes")
    fake.set_defaults(call=_fakedev)
    return parser


def _add_run(commands: Commands) -> None:
    parser = commands.add_parser(
        "run",
        help="run a simulated node with plugins",
        description=RUN.format(nodes=", ".join(node_examples()), scenarios=", ".join(scenario_examples())),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("node", metavar="NODE", help="the description of a node")
    parser.add_argument(
        "--plugin", "--sidecar", metavar="COMMAND", action="append", default=[], help="may be given several times"
    )
    parser.add_argument(
        "--scenario", metavar="FILE", help="what happens and what is expected; without it: until Ctrl-C"
    )
    parser.add_argument(
        "--kubelet-version",
        metavar="VERSION",
        default=DEFAULT_KUBELET,
        help=f"the kubelet to be like ({DEFAULT_KUBELET})",
    )
    parser.add_argument(
        "--topology-policy",
        metavar="POLICY",
        choices=list(Policy),
        default=Policy.NONE,
        help=f"how devices are aligned with NUMA nodes: {', '.join(Policy)}",
    )
    parser.add_argument("--plain", action="store_true", help="lines instead of a live view")
    parser.add_argument("--show-output", action="store_true", help="show what plugins write; without a view, on stderr")
    parser.add_argument(
        "--name", metavar="NAME", dest="simulator", type=_name, help="what other commands call it; by default as NODE"
    )
    parser.set_defaults(call=_run)


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"expected letters, digits, '-' and '_', at most 63, found {text!r}")
    return text


if __name__ == "__main__":
    sys.exit(main())
