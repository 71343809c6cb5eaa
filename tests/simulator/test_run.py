"""The program as its users run it, with a plugin that is none of ours."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import xpu_simulator
from simulator.process import COMMAND, Simulator
from simulator.small_disk import small_disk


def play(directory: Path, tmp_path: Path, *steps: str, plugins: tuple[str, ...] = (COMMAND,)) -> Simulator:
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("steps:\n" + "".join(f"  - {step}\n" for step in steps))
    options = [option for plugin in plugins for option in ("--plugin", plugin)]
    return Simulator(directory, "--scenario", str(scenario), *options)


def test_a_scenario_whose_expectations_come_true_ends_with_0(directory: Path, tmp_path: Path) -> None:
    simulator = play(
        directory,
        tmp_path,
        "expect: {example.com/card: {allocatable: 4, capacity: 4}}",
        "run_pod: {name: one, resources: {example.com/card: 3}}",
        "run_pod: {name: two, resources: {example.com/card: 2}, rejected: true}",
        "{remove_gpu: gpu3, expect: {example.com/card: 3}}",
        "{add_gpu: gpu3, expect: {example.com/card: 4}}",
        "{rebind_gpu: {gpu: gpu2, driver: vfio-pci}, expect: {example.com/card: 3}}",
        "{kubelet: restart, expect: {example.com/card: 3}}",
        "delete_pod: one",
        "{kubelet: stop}",
        "{kubelet: start, expect: {example.com/card: 3}}",
        "run_pod: {name: two, resources: {example.com/card: 3}}",
    )

    assert simulator.finish() == 0, simulator.output
    assert re.search(r"device /dev/dri/card\d rw\n", simulator.output)
    assert "mount  /etc/card0 from /etc/hostname ro" in simulator.output
    assert re.search(
        r"ok: \d+ events, 9 expectations passed, 0 failed, worst hot-plug latency \d+\.\d ms, ", simulator.output
    )
    assert all(len(line) <= 100 for line in simulator.output.splitlines())
    assert simulator.errors == ""


def test_an_expectation_that_fails_is_told_with_what_was_found_instead(directory: Path, tmp_path: Path) -> None:
    simulator = play(
        directory,
        tmp_path,
        "expect: {example.com/card: 4}",
        "{expect: {example.com/card: {allocatable: 5, capacity: 6}}, within_seconds: 0.05}",
        "run_pod: {name: one, resources: {example.com/card: 5}}",
        "run_pod: {name: two, resources: {example.com/card: 1}, rejected: true}",
    )

    assert simulator.finish() == 1
    assert "example.com/card: 4 of 4 allocatable, expected 5 of 6 allocatable" in simulator.output
    assert "FAILED    pod one is rejected: Allocate failed due to requested number of" in simulator.output
    assert "FAILED    pod two runs with card" in simulator.output
    assert "1 expectations passed, 3 failed" in simulator.output


def test_what_cannot_be_done_is_a_failed_expectation(directory: Path, tmp_path: Path) -> None:
    simulator = play(
        directory,
        tmp_path,
        "expect: {example.com/card: 4}",
        "add_gpu: gpu0",
        "remove_gpu: gpu0",
        "remove_gpu: gpu0",
        "rebind_gpu: {gpu: gpu0, driver: xe}",
        "kubelet: start",
        "delete_pod: nobody",
    )

    assert simulator.finish() == 1
    failures = re.findall(r"FAILED +(.+?) +\d+\.\d ms", simulator.output)
    assert failures == [
        "gpu0 is there already",
        "gpu0 is not there",
        "gpu0 is not there",
        "the kubelet is running already",
        "there is no pod 'nobody'",
    ]


@pytest.mark.parametrize(("misdeed", "ending"), [("--exit-code 3", "exited with 3"), ("--sysfs-root", "exited with 2")])
def test_a_plugin_that_ends_is_a_failure_that_shows_its_last_lines(
    directory: Path, tmp_path: Path, misdeed: str, ending: str
) -> None:
    simulator = play(directory, tmp_path, "pause_seconds: 1000", plugins=(f"{COMMAND} {misdeed}",))

    assert simulator.finish() == 1
    assert f"FAILED    {Path(sys.executable).name} {ending}; its last lines were:" in simulator.output
    assert "these are my last words" in simulator.output or "expected one argument" in simulator.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_without_a_scenario_it_runs_until_a_signal(directory: Path, number: signal.Signals) -> None:
    simulator = Simulator(directory, "--plugin", COMMAND)
    simulator.read_until("4 of 4 healthy")

    simulator.process.send_signal(number)

    assert simulator.finish() == 0
    assert number.name in simulator.output


def test_an_interrupted_scenario_has_not_passed(directory: Path, tmp_path: Path) -> None:
    simulator = play(directory, tmp_path, "expect: {example.com/card: 4}", "pause_seconds: 1000")
    simulator.read_until("ok  ")

    simulator.process.send_signal(signal.SIGINT)

    assert simulator.finish() == 128 + signal.SIGINT


def test_several_plugins_run_on_one_node(directory: Path, tmp_path: Path) -> None:
    other = f"{COMMAND} --resource example.com/other --endpoint other.sock"
    simulator = play(
        directory,
        tmp_path,
        "{remove_gpu: gpu0, expect: {example.com/card: 3, example.com/other: 3}}",
        "run_pod: {name: both, resources: {example.com/card: 1, example.com/other: 1}}",
        plugins=(COMMAND, other),
    )
    assert simulator.finish() == 0, simulator.output


def test_a_listener_that_is_not_there_is_told(directory: Path, tmp_path: Path) -> None:
    deaf = COMMAND.replace("--uevent-socket", "--endpoint card.sock #")
    simulator = play(
        directory, tmp_path, "expect: {example.com/card: 4}", "remove_gpu: gpu0", plugins=(f"sh -c 'exec {deaf}'",)
    )
    assert simulator.finish() == 0
    assert "gpu0 is pulled out; nobody took its events from uevents-0" in simulator.output


def test_it_runs_without_any_plugin(directory: Path) -> None:
    simulator = Simulator(directory)
    simulator.read_until("listens")
    simulator.process.terminate()
    assert simulator.finish() == 0


def test_output_of_plugins_is_shown_when_wanted(directory: Path) -> None:
    simulator = Simulator(directory, "--plugin", COMMAND, "--show-output")
    simulator.read_until("4 of 4 healthy")
    simulator.process.terminate()
    assert simulator.finish() == 0
    assert f"{Path(sys.executable).name} | the cards are served\n" in simulator.errors


def test_a_reader_who_goes_away_ends_it_cleanly(directory: Path) -> None:
    simulator = Simulator(directory, "--plugin", COMMAND)
    simulator.read_until("listens")
    assert simulator.process.stdout
    simulator.process.stdout.close()

    assert simulator.process.wait(timeout=20) == 128 + signal.SIGPIPE
    assert simulator.process.stderr
    assert simulator.process.stderr.read() == ""
    simulator.process.stderr.close()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_lacks_a_character_shows_another(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    node = tmp_path / "node.yaml"
    node.write_text("gpus: [" + "{}, " * 10 + "]")
    simulator = Simulator(directory, "--plugin", "xpu-gpu-plugin", node=str(node))
    simulator.read_until("10 of 10 healthy: card0-0 card1-0 card2-0")
    assert simulator.read_until("(10)").strip().endswith("card7-0 ? (10)")
    simulator.process.terminate()
    assert simulator.finish() == 0


@pytest.mark.parametrize("size", ["size=16k", "nr_inodes=202"])  # while the tree is written; while sockets are bound
def test_where_there_is_no_room_for_its_files_one_line_names_the_file(directory: Path, size: str) -> None:
    with small_disk(directory, size):
        simulator = Simulator(directory, "--plugin", COMMAND)
        assert simulator.finish() == 1
        assert list(directory.iterdir()) == []
    *grpc, line = simulator.errors.splitlines()
    assert "Traceback" not in "".join(grpc)
    assert re.match(r"xpu-simulator: .*(No space left on device: '|the kubelet cannot listen on )", line)
    assert "Traceback" not in "".join(grpc)


def test_a_temporary_directory_too_long_for_sockets_is_refused(directory: Path) -> None:
    long = directory / ("x" * 80)
    long.mkdir()
    simulator = Simulator(long)
    assert simulator.finish() == 2
    assert "too long for a socket: at most 107 bytes" in simulator.errors
    long.rmdir()


def test_a_reader_of_the_status_may_go_away_too(directory: Path) -> None:
    simulator = Simulator(directory, "--plugin", COMMAND)
    simulator.read_until("4 of 4 healthy")
    read_end, write_end = os.pipe()
    os.close(read_end)
    status = subprocess.run(
        [sys.executable, "-m", "xpu_simulator", "status"],
        env={**os.environ, "TMPDIR": str(directory)},
        stdout=write_end,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write_end)
    assert (status.returncode, status.stderr) == (128 + signal.SIGPIPE, b"")
    simulator.process.terminate()
    assert simulator.finish() == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--plugin", "no-such-program-here"], "no such program"),
        (["--kubelet-version", "2.0"], "expected one such as 1.36"),
        (["--scenario", "nothing-there"], "nothing-there"),
        (["--plug", "x"], "unrecognized arguments"),
    ],
)
def test_a_bad_command_line_ends_with_2_and_one_line(directory: Path, arguments: list[str], error: str) -> None:
    simulator = Simulator(directory, *arguments)
    assert simulator.finish() == 2
    assert error in simulator.errors.splitlines()[-1]


def test_the_demo_passes(directory: Path, tmp_path: Path) -> None:
    demo = (Path(xpu_simulator.__file__).parent / "examples/scenarios/demo.yaml").read_text()
    scenario = tmp_path / "demo.yaml"
    scenario.write_text(re.sub(r"  - pause_seconds: \d+\n", "", demo))

    plugin = "xpu-gpu-plugin --telemetry {telemetry} --health-leave-dwell=3s"
    simulator = Simulator(
        directory, "--scenario", str(scenario), "--plugin", plugin, "--sidecar", "xpu-level-zero-sidecar"
    )

    assert simulator.finish() == 0, simulator.output
    assert simulator.output.count("/dev/dri/by-path/pci-0000:") == 4
    assert "plugin    xpu-gpu-plugin exited with 0" in simulator.output


def test_a_reboot_starts_plugins_anew_and_gives_pods_what_they_had(directory: Path, tmp_path: Path) -> None:
    simulator = play(
        directory,
        tmp_path,
        "expect: {example.com/card: 4}",
        "run_pod: {name: one, resources: {example.com/card: 3}}",
        "{reboot: true, expect: {example.com/card: 4}}",
        "run_pod: {name: two, resources: {example.com/card: 2}, rejected: true}",
    )
    assert simulator.finish() == 0, simulator.output
    assert simulator.output.count("starts as process") == 2
    assert simulator.output.count("call      Allocate") == 1
    assert re.search(r"node +reboots", simulator.output)
    assert re.search(r"pod +one is admitted again with card", simulator.output)
