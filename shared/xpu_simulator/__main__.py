"""The program `xpu-simulator`: reads its command line and files, runs, answers with an exit code."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # read when grpc is imported; it would report each plugin that ends

from xpu_simulator.descriptions import examples, read_node, read_scenario
from xpu_simulator.errors import UsageError
from xpu_simulator.report import Report, wants_colour
from xpu_simulator.run import Simulation, run

DEFAULT_KUBELET = "1.36"

RUN = """\
Start a simulated node, its kubelet and plugins in a temporary directory, play a scenario, clean up.

NODE and the scenario are files, or names of shipped examples: {examples}.
A plugin's command may contain {{sysfs_root}}, {{dev_root}}, {{host_dev_root}}, {{kubelet_dir}}, {{cdi_dir}} and
{{uevent_socket}}. One of our own programs (xpu-…) without any of these is given all of them as flags.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return asyncio.run(run(_simulation(options), Report(sys.stdout, colour=wants_colour(sys.stdout))))
    except UsageError as error:
        print(f"xpu-simulator: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # no room or no right to write the temporary directory
        print(f"xpu-simulator: {error}", file=sys.stderr)
        return 1


def _simulation(options: argparse.Namespace) -> Simulation:
    node = read_node(options.node)
    return Simulation(
        node=node,
        scenario=read_scenario(options.scenario, node) if options.scenario else None,
        plugins=options.plugin,
        kubelet_version=options.kubelet_version,
        show_output=options.show_output,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="xpu-simulator", description="A Kubernetes node without hardware.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    run_parser = commands.add_parser(
        "run",
        help="run a simulated node with plugins",
        description=RUN.format(examples=", ".join(examples())),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    run_parser.add_argument("node", metavar="NODE", help="the description of a node")
    run_parser.add_argument(
        "--plugin", metavar="COMMAND", action="append", default=[], help="may be given several times"
    )
    run_parser.add_argument(
        "--scenario", metavar="FILE", help="what happens and what is expected; without it: until Ctrl-C"
    )
    run_parser.add_argument(
        "--kubelet-version",
        metavar="VERSION",
        default=DEFAULT_KUBELET,
        help=f"the kubelet to be like ({DEFAULT_KUBELET})",
    )
    run_parser.add_argument("--show-output", action="store_true", help="show what plugins write, on stderr")
    return parser


if __name__ == "__main__":
    sys.exit(main())
