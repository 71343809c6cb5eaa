"""The program `xpu-simulator`: reads its command line and files, runs, answers with an exit code."""

import argparse
import asyncio
import io
import os
import re
import signal
import ssl
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # read when grpc is imported; it would report each plugin that ends

from xpu_shared.program.options import FALSE, TRUE
from xpu_simulator import fakedev
from xpu_simulator.commands import Commands, add_commands, checked_name
from xpu_simulator.descriptions import node_examples, read_generator, read_node, read_scenario, scenario_examples
from xpu_simulator.errors import ImpossibleError, UsageError
from xpu_simulator.kubelet.topology import Policy
from xpu_simulator.lines import Lines, wants_colour
from xpu_simulator.live import LiveView
from xpu_simulator.remote import running
from xpu_simulator.run import Simulation, run
from xpu_simulator.screen import in_background
from xpu_simulator.workspace import Workspace
from xpu_simulator.written_tree import write_tree

DEFAULT_KUBELET = "1.36"

RUN = """\
Start a simulated node, its kubelet and plugins in a temporary directory, play a scenario, clean up.

NODE is a file, or the name of a shipped example: {nodes}.
So is the scenario: {scenarios}.
A plugin's command may contain {{sysfs_root}}, {{dev_root}}, {{host_dev_root}}, {{kubelet_dir}}, {{cdi_dir}},
{{uevent_socket}}, and {{flags}} for all of these as flags of our own programs (xpu-…), which get them anyway.
{{telemetry}} is the endpoint where the Level-Zero sidecar publishes, {{topology}} that of the XeLink sidecar,
{{level_zero_library}} the library they read, {{xpum_url}} the page of an XPU Manager, {{features_dir}} for label files.

In a terminal it is a live view of the whole terminal. With --plain, with a scenario, whose story is longer than a
terminal, in the background and when stdout is no terminal, it writes a line for each event.
"""

FAKEDEV = """\
Do as the fake-device generator of Intel's device plugins does: write sys, dev and xpum-sidecar-labels.txt into the
current directory, in the place of what an earlier run has left.
"""


def _go_boolean(text: str) -> bool:
    if text not in TRUE | FALSE:
        raise argparse.ArgumentTypeError(f"expected true or false, found {text!r}")
    return text in TRUE


GO_BOOLEAN: Mapping[str, Any] = {"nargs": "?", "const": True, "default": False, "type": _go_boolean, "metavar": "BOOL"}


def main(arguments: Sequence[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what the terminal's encoding lacks is shown as ?
    options, unknown = _parser().parse_known_args(arguments)
    if unknown:  # argparse itself would show how to use the program instead of the command
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        code = int(options.call(options))
        sys.stdout.flush()
    except BrokenPipeError:  # of `status | head`; what Python still holds must not fail at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except UsageError as error:
        print(f"xpu-simulator: {error}", file=sys.stderr)
        return 2
    except (ImpossibleError, OSError) as error:
        print(f"xpu-simulator: {error}", file=sys.stderr)
        return 1
    return code


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
        xpum_tls=_tls(options.xpum_tls),
        xpum_token=options.xpum_token,
        name=_free_name(options.simulator, options.node),
    )
    lines = Lines(sys.stdout, colour=wants_colour(sys.stdout))
    if options.plain or scenario or not _can_show():
        with Workspace() as workspace:
            return asyncio.run(run(simulation, lines, workspace))
    with Workspace(sys.stdout) as workspace:
        return asyncio.run(run(simulation, LiveView(sys.stdout, lines, workspace), workspace))


def _tls(files: Sequence[str] | None) -> ssl.SSLContext | None:
    if files is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(*files)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"--xpum-tls {' '.join(files)}: {error}") from None
    return context


def _can_show() -> bool:
    """Whether stdout is a terminal on which things can be drawn, and ours: a job in the background has no screen."""
    drawable = sys.stdout.isatty() and os.environ.get("TERM") not in (None, "", "dumb")
    return drawable and not in_background(sys.stdout)


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
        if config.info:
            fakedev.log(f"INFO: {config.info}")
        if options.verbose:
            fakedev.log(f"INFO: {options.json}: {config.model_dump_json(by_alias=True, exclude_unset=True)}")
        fakedev.generate(config, options.root, device_nodes=not options.no_mknod)
    except (UsageError, ImpossibleError, OSError) as error:
        fakedev.log(f"ERROR: {error}")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="xpu-simulator", description="A Kubernetes node without hardware.")
    commands = parser.add_subparsers(required=True)
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
    tree.set_defaults(call=_tree, parser=tree)
    fake = commands.add_parser(
        "fakedev", help="write fake devices as Intel's generator does", description=FAKEDEV, allow_abbrev=False
    )
    fake.add_argument("-json", "--json", metavar="FILE", help="the configuration, JSON or YAML")
    fake.add_argument("-verbose", "--verbose", **GO_BOOLEAN, help="show the configuration")
    fake.add_argument("-root", "--root", metavar="DIRECTORY", type=Path, default=Path(), help="instead of the current")
    fake.add_argument("-no-mknod", "--no-mknod", **GO_BOOLEAN, help="regular files instead of device nodes")
    fake.set_defaults(call=_fakedev, parser=fake)
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
        choices=[str(policy) for policy in Policy],  # argparse shows what it is given
        default=Policy.NONE,
        help=f"how devices are aligned with NUMA nodes: {', '.join(Policy)}",
    )
    parser.add_argument(
        "--xpum-tls", metavar=("CERT", "KEY"), nargs=2, help="PEM files: the XPU Manager behind {xpum_url} speaks https"
    )
    parser.add_argument(
        "--xpum-token", metavar="TOKEN", default="", help="the bearer token that the XPU Manager asks for"
    )
    parser.add_argument("--plain", action="store_true", help="lines instead of a live view")
    parser.add_argument("--show-output", action="store_true", help="show what plugins write; without a view, on stderr")
    parser.add_argument(
        "--name",
        metavar="NAME",
        dest="simulator",
        type=checked_name,
        help="what other commands call it; by default as NODE",
    )
    parser.set_defaults(call=_run, parser=parser)


if __name__ == "__main__":
    sys.exit(main())
