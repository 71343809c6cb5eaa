"""Commands from another terminal, to a simulator that runs as a process."""

import json
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from simulator.process import COMMAND, Simulator
from xpu_simulator import actions, remote
from xpu_simulator.__main__ import main

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command; the answer is its exit code and what it wrote."""
    monkeypatch.setattr(tempfile, "tempdir", str(directory))

    def run(*arguments: str) -> tuple[int, str]:
        try:
            code = main(arguments)
        except SystemExit as end:  # argparse's
            code = int(end.code or 0)
        written = capsys.readouterr()
        return code, written.out + written.err

    return run


@pytest.fixture
def simulator(directory: Path) -> Generator[Simulator]:
    simulator = Simulator(directory, "--plugin", COMMAND)
    simulator.read_until("4 of 4 healthy")
    yield simulator
    simulator.process.terminate()
    assert simulator.finish() == 0, simulator.output + simulator.errors


def test_gpus_come_go_and_change_drivers(simulator: Simulator, command: Command) -> None:
    assert command("remove", "gpu2") == (0, "gpu2 is pulled out\n")
    simulator.read_until("3 of 3 healthy")
    assert command("add", "gpu2") == (0, "gpu2 is plugged in\n")
    simulator.read_until("4 of 4 healthy")
    assert command("rebind", "gpu2", "--driver", "xe") == (0, "gpu2 has driver xe now\n")
    assert command("rebind", "gpu2") == (0, "gpu2 has driver xe now\n")


def test_gpus_are_hot_and_well_again(simulator: Simulator, command: Command) -> None:
    assert command("fault", "gpu1", "--temperature", "112") == (0, "gpu1 is at 112 °C\n")
    assert command("fault", "gpu1", "--memory-health", "replace", "--wedged") == (
        0,
        "gpu1 is at 112 °C, has memory that is replace, is wedged\n",
    )
    assert command("fault", "gpu1", "--no-wedged", "--bus") == (
        0,
        "gpu1 is at 112 °C, has memory that is replace, has lost speed on its bus\n",
    )
    assert command("fault", "gpu1", "--clear", "--hang") == (0, "gpu1 hangs\n")
    assert command("fault", "gpu1", "--clear") == (0, "gpu1 is well\n")
    assert re.search(r" fault +gpu1 is at 112 °C", simulator.read_until("112"))


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["gpu9", "--clear"], 2, "no device 'gpu9'; there are gpu0, gpu1, gpu2, gpu3"),
        (["gpu1"], 2, "expected --clear or one of --temperature"),
        (["gpu1", "--temperature", "9999"], 2, "temperature"),
        (["gpu1", "--memory-health", "bad"], 2, "invalid choice"),
    ],
)
def test_a_fault_that_cannot_be(
    simulator: Simulator, command: Command, arguments: list[str], code: int, error: str
) -> None:
    found = command("fault", *arguments)
    assert (found[0], error in found[1]) == (code, True), found


def test_a_program_is_killed_and_started_again(directory: Path, command: Command) -> None:
    simulator = Simulator(directory, "--plugin", "xpu-gpu-plugin")
    simulator.read_until("4 of 4 healthy")
    assert command("kill", "xpu-gpu-plugin") == (0, "xpu-gpu-plugin was killed and is started again\n")
    simulator.read_until("xpu-gpu-plugin was ended by SIGKILL")
    simulator.read_until("4 of 4 healthy")
    assert command("kill", "xpu-other") == (1, "xpu-simulator: no program 'xpu-other' runs; there are xpu-gpu-plugin\n")
    simulator.process.terminate()
    assert simulator.finish() == 0, simulator.output + simulator.errors


def test_pods_come_and_go(simulator: Simulator, command: Command) -> None:
    code, text = command("pod", "run", "--gpus", "2", "training")
    assert (code, text.split(" with ")[0]) == (0, "pod training runs")
    code, text = command("pod", "run", "--resource", "example.com/card", "greedy", "--gpus", "3")
    assert (code, text.count("\n")) == (1, 1)
    assert text.startswith("xpu-simulator: pod greedy is rejected: UnexpectedAdmissionError: Allocate failed due to")
    assert command("pod", "delete", "training") == (0, "pod training is deleted, its devices are free\n")


def test_a_pod_that_asks_for_gpus_gets_gpus(directory: Path, command: Command) -> None:
    simulator = Simulator(directory, "--plugin", "xpu-gpu-plugin -enable-monitoring")
    simulator.read_until("4 of 4 healthy")
    assert command("pod", "run", "--gpus", "1", "training") == (0, "pod training runs with card0-0\n")
    code, text = command("pod", "run", "--devices", "1", "other")
    assert (code, text.partition(";")[0]) == (2, "xpu-simulator: choose a resource with --resource")
    simulator.process.terminate()
    assert simulator.finish() == 0, simulator.output + simulator.errors


def test_the_kubelet_restarts_stops_and_starts(simulator: Simulator, command: Command) -> None:
    assert command("kubelet", "restart") == (0, "the kubelet has restarted\n")
    assert command("kubelet", "stop") == (0, "the kubelet is stopped\n")
    assert command("status")[1].startswith("four-gpus   kubelet 1.36 stopped   0 pods   /tmp/")
    assert command("kubelet", "start") == (0, "the kubelet is started\n")


def test_the_status_is_a_table_for_people_and_json_for_programs(simulator: Simulator, command: Command) -> None:
    command("remove", "gpu3")
    simulator.read_until("3 of 3 healthy")
    command("pod", "run", "training")

    code, table = command("status")
    status = json.loads(command("status", "--output", "json")[1])

    assert code == 0
    assert "GPUs   i915 gpu0 gpu1 gpu2   pulled out gpu3\n" in table
    assert table.splitlines()[3].split() == ["RESOURCE", "CAPACITY", "ALLOCATABLE", "IN", "USE"]
    assert table.splitlines()[4].split() == ["example.com/card", "3", "3", "1"]
    (holder,) = [line.split() for line in table.splitlines() if "training" in line]
    assert holder[1:] == ["Healthy", "training"]
    assert status["kubelet"] == {"version": "1.36", "running": True}
    assert status["gpus"][3] == {"name": "gpu3", "driver": None}
    assert [device["pod"] for device in status["resources"][0]["devices"]].count("training") == 1
    assert list(status["pods"][0]["devices"]) == ["example.com/card"]


def test_what_cannot_be_done_is_one_line(simulator: Simulator, command: Command) -> None:
    command("remove", "gpu3")
    errors = {
        "remove gpu3": "gpu3 is not there",
        "rebind gpu3": "gpu3 is not there",
        "add gpu0": "gpu0 is there already",
        "kubelet start": "the kubelet is running already",
        "pod delete nobody": "there is no pod 'nobody'",
        "status --name other": "no simulator 'other' is running; there are four-gpus",
        "run four-gpus --name four-gpus": "a simulator 'four-gpus' is running already",
    }
    for arguments, error in errors.items():
        assert command(*arguments.split()) == (1, f"xpu-simulator: {error}\n")


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (
            "",
            "required: {run,add,remove,rebind,fault,kill,kubelet,reboot,pod,status,tree,fakedev}",
        ),
        ("frob", "choose from 'run', 'add', 'remove'"),
        ("add", "the following arguments are required: DEVICE"),
        ("add gpu0 gpu1", "unrecognized arguments: gpu1"),
        ("kubelet", "the following arguments are required: restart|stop|start"),
        ("kubelet kill", "choose from 'restart', 'stop', 'start'"),
        ("pod", "the following arguments are required: {run,delete}"),
        ("pod frob", "choose from 'run', 'delete'"),
        ("pod run", "the following arguments are required: NAME"),
        ("pod run training --gpus 0", "expected a number from 1, found '0'"),
        ("pod run training --gpus two", "expected a number from 1, found 'two'"),
        ("pod run training --resource card", "a name such as gpu.intel.com/i915, found 'card': it has no slash"),
        ("pod run --resource a.b/c -- -x", "expected letters, digits, '-' and '_', at most 63, found '-x'"),
        ("pod delete a/b", "expected letters, digits, '-' and '_', at most 63, found 'a/b'"),
        ("run four-gpus --topology-policy numa", "choose from 'none', 'best-effort', 'restricted', 'single-numa-node'"),
        ("status --output yaml", "choose from 'table', 'json'"),
        ("run four-gpus --name a/b", "expected letters, digits, '-' and '_', at most 63, found 'a/b'"),
        ("tree four-gpus", "the following arguments are required: DIRECTORY"),
        ("tree five-gpus /tmp", "there are 2x4-PVC-xelink, 8x-DG1"),
    ],
)
def test_wrong_arguments_say_what_is_allowed(command: Command, arguments: str, allowed: str) -> None:
    code, text = command(*arguments.split())
    assert code == 2
    assert allowed in text.splitlines()[-1]


def test_an_argument_too_many_shows_how_to_use_the_command(command: Command) -> None:
    assert command("add", "gpu0", "gpu1") == (
        2,
        "usage: xpu-simulator add [-h] [--name NAME] DEVICE\nxpu-simulator add: error: unrecognized arguments: gpu1\n",
    )


def test_an_unknown_gpu_says_which_there_are(simulator: Simulator, command: Command) -> None:
    for arguments in (["add", "gpu9"], ["remove", "gpu9"], ["rebind", "gpu9"], ["rebind", "gpu9", "--driver", "xe"]):
        assert command(*arguments) == (2, "xpu-simulator: no device 'gpu9'; there are gpu0, gpu1, gpu2, gpu3\n")


def test_a_driver_that_a_device_cannot_have_is_refused(simulator: Simulator, command: Command) -> None:
    error = "xpu-simulator: driver 'nouveau' of gpu0: expected i915, xe, vfio-pci\n"
    assert command("rebind", "gpu0", "--driver", "nouveau") == (2, error)


def test_of_several_simulators_one_is_chosen_by_name(directory: Path, simulator: Simulator, command: Command) -> None:
    named, numbered = Simulator(directory, "--name", "other"), Simulator(directory)
    named.read_until("listens")
    numbered.read_until("listens")

    expected = "several simulators are running: choose one with --name; there are "
    code, text = command("status")
    assert (code, text.removeprefix(f"xpu-simulator: {expected}").strip().split(", ")) == (
        2,
        ["four-gpus", "four-gpus-2", "other"],
    )
    assert command("remove", "gpu0", "--name", "other") == (0, "gpu0 is pulled out\n")
    assert command("pod", "run", "one", "--name", "other") == (
        1,
        "xpu-simulator: no plugin has registered a resource\n",
    )
    for other in (named, numbered):
        other.process.terminate()
        assert other.finish() == 0


def test_several_resources_have_to_be_told_apart(directory: Path, command: Command) -> None:
    other = f"{COMMAND} --resource example.com/other --endpoint other.sock"
    simulator = Simulator(directory, "--plugin", COMMAND, "--plugin", other)
    simulator.read_until("4 of 4 healthy")
    simulator.read_until("4 of 4 healthy")

    code, text = command("pod", "run", "one")

    assert code == 2
    assert text.endswith("choose a resource with --resource; there are example.com/card, example.com/other\n")
    assert "other/card3" in command("status")[1]
    simulator.process.terminate()
    assert simulator.finish() == 0


def test_a_resource_that_has_lost_its_devices_is_neither_chosen_nor_waited_for(
    directory: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setattr(remote, "PATIENCE", actions.PLUGINS_PATIENCE)
    simulator = Simulator(directory, "--plugin", "xpu-gpu-plugin")
    simulator.read_until("4 of 4 healthy")
    command("rebind", "gpu3", "--driver", "xe")
    simulator.read_until("gpu.intel.com/xe: 1 of 1 healthy")
    command("rebind", "gpu3", "--driver", "i915")
    simulator.read_until_all("i915: 4 of 4 healthy", "gpu.intel.com/xe: 0 of 1 healthy")

    assert command("pod", "run", "one", "--gpus", "4")[0] == 0
    assert command("reboot") == (0, "the node has rebooted; 1 of 1 pods run again\n")

    simulator.process.terminate()
    assert simulator.finish() == 0


def test_without_a_simulator_there_is_nothing_to_ask(directory: Path, command: Command) -> None:
    code, text = command("status")
    assert (code, text.count("\n")) == (1, 1)
    assert "no simulator of yours is running" in text


@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_a_stale_socket_and_a_directory_open_to_others_are_passed_over(
    directory: Path, command: Command, mode: int
) -> None:
    other = directory / "xpu-sim-abc"
    other.mkdir()
    other.chmod(mode)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(other / "four-gpus.sock"))
        if mode != 0o700:
            listener.listen()
        assert command("status")[0] == 1
    shutil.rmtree(other)


def test_only_its_user_reaches_it(directory: Path, simulator: Simulator) -> None:
    (root,) = directory.iterdir()
    assert root.stat().st_mode & 0o777 == 0o700
    assert (root / "four-gpus.sock").stat().st_mode & 0o777 == 0o600


def test_requests_of_other_programs_are_checked(directory: Path, simulator: Simulator) -> None:
    (root,) = directory.iterdir()
    errors = {
        b"{": "the request: Invalid JSON",
        b"[]": "the request: Input should be an object",
        b"\xff\xfe": "the request: Invalid JSON",
        b'{"action": null, "force": true}': "force: Extra inputs are not permitted",
        b'{"action": {"add_gpu": "gpu0", "remove_gpu": "gpu0"}}': "action: a step does one thing, not add and remove",
        b'{"action": {"pause_seconds": 5}}': "action.pause_seconds: Extra inputs are not permitted",
        b'{"action": {"run_pod": {"name": "a", "resources": {"a/b": true}}}}': "action.run_pod.resources.a/b: ",
        b'{"action": {}}': "action: expected one of add, remove,",
    }
    for line, error in errors.items():
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(root / "four-gpus.sock"))
            connection.sendall(line + b"\n")
            answer = json.loads(connection.makefile().read())
        assert answer["exit_code"] == 2
        assert answer["text"].startswith(error)


def test_a_reboot_gives_pods_what_they_had(simulator: Simulator, command: Command) -> None:
    command("pod", "run", "training", "--gpus", "3")
    assert command("reboot") == (0, "the node has rebooted; 1 of 1 pods run again\n")
    assert command("pod", "run", "greedy", "--gpus", "2")[0] == 1


def test_without_room_for_its_directory_run_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    code, text = command("run", "four-gpus")
    assert (code, text.count("\n")) == (1, 1)
    assert "No such file or directory" in text
    assert "nowhere/xpu-sim-" in text
