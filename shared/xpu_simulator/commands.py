"""The commands that change or show a simulation which runs in another terminal."""

import argparse
import sys
from typing import Any, get_args

from pydantic import ValidationError
from rich.console import Console, Group

from xpu_simulator import panels
from xpu_simulator.errors import ImpossibleError, UsageError
from xpu_simulator.fields import NAME
from xpu_simulator.kubelet.names import invalid_because
from xpu_simulator.level_zero.faults import Fault, MemoryHealth
from xpu_simulator.messages import Request, reason
from xpu_simulator.remote import ask, choose
from xpu_simulator.scenario import Action
from xpu_simulator.status import Status

Commands = Any  # argparse keeps the type of what add_subparsers gives to itself
GPUS, MONITORING = "gpu.intel.com/", "monitoring"  # the begin of GPUs' resources, the end of observers'
UNBOUNDED = 1000  # columns or rows, where there is no terminal


def add_commands(commands: Commands) -> None:
    """Declare them; each leaves the function that carries it out in `call`."""
    for name, help_text in (("add", "plug a device in"), ("remove", "pull a device out")):
        parser = _command(commands, name, _add_or_remove, help_text)
        parser.add_argument("device", metavar="DEVICE", help="its name in the node's description, such as gpu2")
        parser.set_defaults(key=name)
    rebind = _command(commands, "rebind", _rebind, "take a device from its driver and give it to another")
    rebind.add_argument("device", metavar="DEVICE", help="its name in the node's description, such as gpu2")
    rebind.add_argument("--driver", metavar="DRIVER", help="by default it gets the one it has")
    _add_fault(_command(commands, "fault", _fault, "have something be wrong with a GPU, or no longer"))
    kill = _command(commands, "kill", _kill, "kill a plugin or sidecar, which is then started again")
    kill.add_argument("program", metavar="PROGRAM", help="such as xpu-level-zero-sidecar")
    kubelet = _command(commands, "kubelet", _kubelet, "restart, stop or start the kubelet")
    kubelet.add_argument("what", metavar="restart|stop|start", choices=("restart", "stop", "start"))
    _command(commands, "reboot", _reboot, "reboot the node: plugins and kubelet start anew, pods get what they had")
    _add_pod_commands(commands.add_parser("pod", help="run or delete a pod").add_subparsers(required=True))
    status = _command(commands, "status", _status, "show resources, devices and pods")
    status.add_argument("--output", choices=("table", "json"), default="table")


def _add_fault(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("gpu", metavar="GPU", help="its name in the node's description, such as gpu1; or the word link")
    parser.add_argument("ends", metavar="TILE", nargs="*", help="after link: the two it joins, such as gpu0.0 gpu3.1")
    parser.add_argument("--temperature", metavar="CELSIUS", type=float, help="of its hottest sensor")
    parser.add_argument("--memory-health", choices=get_args(MemoryHealth))
    for name, help_text in (
        ("bus", "the PCI link has lost speed"),
        ("wedged", "the driver wants a reset"),
        ("lost", "every call says that the device is lost"),
        ("hang", "calls do not come back"),
        ("crash", "calls crash the process that makes them"),
    ):
        parser.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, help=help_text)
    parser.add_argument("--clear", action="store_true", help="all that was wrong before is over")
    links = parser.add_mutually_exclusive_group()
    for state, help_text in (("down", "a link is broken"), ("degraded", "it works badly"), ("up", "it works again")):
        links.add_argument(f"--{state}", action="store_const", dest="link_state", const=state, help=help_text)


def _add_pod_commands(commands: Commands) -> None:
    run = _command(commands, "run", _run_pod, "run a pod that asks for devices")
    run.add_argument("pod", metavar="NAME", type=checked_name)
    count = run.add_mutually_exclusive_group()
    count.add_argument("--devices", metavar="NUMBER", type=_count, default=1, help="how many, 1 by default")
    count.add_argument("--gpus", metavar="NUMBER", type=_count, help="the same, of the resource that is GPUs")
    run.add_argument("--resource", metavar="RESOURCE", type=_resource, help="by default the only one that has devices")
    delete = _command(commands, "delete", _delete_pod, "delete a pod; its devices are free")
    delete.add_argument("pod", metavar="NAME", type=checked_name)


def _command(commands: Commands, name: str, call: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False
    )
    parser.add_argument("--name", metavar="NAME", dest="simulator", help="which simulator; by default the only one")
    parser.set_defaults(call=call, parser=parser)
    return parser


def checked_name(text: str) -> str:
    """The name of a simulator or a pod, for argparse."""
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"expected letters, digits, '-' and '_', at most 63, found {text!r}")
    return text


def _resource(text: str) -> str:
    if reason := invalid_because(text):
        raise argparse.ArgumentTypeError(f"expected a name such as gpu.intel.com/i915, found {text!r}: {reason}")
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a number from 1, found {text!r}")
    return int(text)


def _add_or_remove(options: argparse.Namespace) -> int:
    return _do(options, {options.key: options.device})


def _rebind(options: argparse.Namespace) -> int:
    driver = options.driver or _driver(_ask_status(options), options.device)
    return _do(options, {"rebind": {"device": options.device, "driver": driver}})


def _driver(status: Status, name: str) -> str:
    drivers = {device.name: device.driver for devices in status.hardware.values() for device in devices}
    return drivers.get(name) or "none"  # the simulator says what is wrong with one that is not there


def _fault(options: argparse.Namespace) -> int:
    if options.gpu == "link":
        if len(options.ends) != 2 or options.link_state is None:
            raise UsageError("fault link: expected two tiles such as gpu0.0 gpu3.1, and --down, --degraded or --up")
        return _do(options, {"fault_link": {"between": options.ends, "state": options.link_state}})
    if options.ends or options.link_state is not None:
        raise UsageError(f"fault {options.gpu}: tiles, --down, --degraded and --up are for: fault link")
    wanted = {name: getattr(options, name) for name in Fault.model_fields}
    given = {name: value for name, value in wanted.items() if value is not None}
    if not given and not options.clear:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in Fault.model_fields)
        raise UsageError(f"fault {options.gpu}: expected --clear or one of {flags}")
    return _do(options, {"fault": {"gpu": options.gpu, "clear": options.clear, **given}})


def _kill(options: argparse.Namespace) -> int:
    return _do(options, {"kill": options.program})


def _kubelet(options: argparse.Namespace) -> int:
    return _do(options, {"kubelet": options.what})


def _reboot(options: argparse.Namespace) -> int:
    return _do(options, {"reboot": True})


def _run_pod(options: argparse.Namespace) -> int:
    resource = options.resource or _only_resource(_ask_status(options), gpus=options.gpus is not None)
    return _do(options, {"run_pod": {"name": options.pod, "resources": {resource: options.gpus or options.devices}}})


def _only_resource(status: Status, *, gpus: bool) -> str:
    """The resource that has devices to give, or just the only one; if GPUs are meant, the one that is GPUs."""
    names = [resource.name for resource in status.resources if resource.allocatable]
    names = names or [resource.name for resource in status.resources]
    if gpus:
        names = [name for name in names if name.startswith(GPUS) and not name.endswith(MONITORING)] or names
    if not names:
        raise ImpossibleError("no plugin has registered a resource")
    if len(names) > 1:
        raise UsageError(f"choose a resource with --resource; there are {', '.join(names)}")
    return names[0]


def _delete_pod(options: argparse.Namespace) -> int:
    return _do(options, {"delete_pod": options.pod})


def _status(options: argparse.Namespace) -> int:
    status = _ask_status(options)
    if options.output == "json":
        print(status.model_dump_json(indent=2))
        return 0
    console = Console() if sys.stdout.isatty() else Console(width=UNBOUNDED)
    print_status(status, console)
    return 0


def print_status(status: Status, console: Console) -> None:
    devices = panels.devices(status, width=console.width if console.is_terminal else 0, height=sys.maxsize)
    with console.capture() as capture:  # rich itself would end the program when nobody reads what it prints
        hardware = panels.hardware(status)
        console.print(Group(panels.headline(status), *hardware, "", panels.resources(status), "", devices))
        if not all(pod.running for pod in status.pods):
            console.print("", panels.not_running(status), sep="\n")
    print("\n".join(line.rstrip() for line in capture.get().splitlines()))


def _do(options: argparse.Namespace, action: dict[str, Any]) -> int:
    try:
        request = Request(action=Action.model_validate(action))
    except ValidationError as error:
        raise UsageError(reason(error)) from None
    answer = ask(choose(options.simulator), request)
    print(answer.text) if answer.exit_code == 0 else print(f"xpu-simulator: {answer.text}", file=sys.stderr)
    return answer.exit_code


def _ask_status(options: argparse.Namespace) -> Status:
    answer = ask(choose(options.simulator), Request())
    if answer.status is None:
        raise ImpossibleError(answer.text or "the simulator did not tell its status")
    return answer.status
