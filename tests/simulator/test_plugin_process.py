import asyncio
import os
import select
import stat
import sys
from pathlib import Path

import pytest

from xpu_simulator.errors import UsageError
from xpu_simulator.plugin_process import PluginProcess, command_line, start_plugin

PATHS = {
    name: Path("/node") / name
    for name in (
        *("sysfs_root", "dev_root", "host_dev_root", "kubelet_dir", "cdi_dir", "uevent_socket"),
        *("level_zero_library", "telemetry", "features_dir", "metrics_address"),
    )
}


@pytest.fixture
def our_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "xpu-demo-plugin"
    program.write_text("#!/bin/sh\n")
    program.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return program


def test_our_programs_are_told_where_their_node_is(our_program: Path) -> None:
    assert command_line("xpu-demo-plugin --shared-dev-num 2", PATHS) == [
        str(our_program),
        *("--sysfs-root", "/node/sysfs_root"),
        *("--dev-root", "/node/dev_root"),
        *("--host-dev-root", "/node/host_dev_root"),
        *("--kubelet-dir", "/node/kubelet_dir"),
        *("--cdi-dir", "/node/cdi_dir"),
        *("--uevent-socket", "/node/uevent_socket"),
        *("--shared-dev-num", "2"),
    ]


def test_the_sidecar_is_told_of_its_library_and_where_to_publish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "xpu-level-zero-sidecar"
    program.write_text("#!/bin/sh\n")
    program.chmod(stat.S_IRWXU)

    assert command_line(f"{program} -v 2", PATHS)[1:] == [
        *("--sysfs-root", "/node/sysfs_root"),
        *("--library", "/node/level_zero_library"),
        *("--publish", "/node/telemetry"),
        *("--metrics-address", "/node/metrics_address"),
        *("--kubelet-dir", "/node/kubelet_dir"),
        *("--features-dir", "/node/features_dir"),
        *("-v", "2"),
    ]
    assert command_line(f"{program} --library {{level_zero_library}}", PATHS)[1:] == [
        "--library",
        "/node/level_zero_library",
    ]


def test_a_plugin_that_hears_the_sidecar_is_told_where_its_node_is_too(our_program: Path) -> None:
    command = command_line("xpu-demo-plugin --telemetry {telemetry}", PATHS)
    assert command[1:3] == ["--sysfs-root", "/node/sysfs_root"]
    assert command[-2:] == ["--telemetry", "/node/telemetry"]


def test_a_placeholder_says_that_the_command_is_complete(our_program: Path) -> None:
    assert command_line("xpu-demo-plugin -k={kubelet_dir}/x", PATHS) == [str(our_program), "-k=/node/kubelet_dir/x"]


def test_the_same_flags_are_had_by_name_for_any_program(our_program: Path) -> None:
    flags = command_line("xpu-demo-plugin", PATHS)[1:]
    assert command_line("sh serial.py {flags} -v 1", PATHS)[1:] == ["serial.py", *flags, "-v", "1"]
    assert command_line("xpu-demo-plugin {flags} -v 1", PATHS)[1:] == [*flags, "-v", "1"]


def test_foreign_programs_get_their_arguments_as_they_are() -> None:
    command = command_line("""sh -c 'echo {"a": 1} {sysfs_root} {unknown}'""", PATHS)
    assert command[1:] == ["-c", 'echo {"a": 1} /node/sysfs_root {unknown}']


def test_a_program_beside_our_interpreter_is_found_without_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    name = Path(sys.executable).name
    assert command_line(name, PATHS) == [str(Path(sys.executable).parent / name)]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "--plugin needs a command"),
        ("  ", "--plugin needs a command"),
        ("sh -c 'x", "No closing quotation"),
        ("no-such-program-here", "--plugin 'no-such-program-here': no such program"),
        ("/", "--plugin '/': no such program"),
        (__file__, "no such program"),
    ],
)
def test_a_command_that_cannot_run_is_refused(text: str, error: str) -> None:
    with pytest.raises(UsageError, match=error):
        command_line(text, PATHS)


class Output(asyncio.Queue[str]):
    """The lines a process has written and nobody has taken yet."""

    def all(self) -> list[str]:
        return [self.get_nowait() for _ in range(self.qsize())]


@pytest.fixture
def output() -> Output:
    return Output()


async def started(script: str, output: Output) -> PluginProcess:
    return await start_plugin(["/bin/sh", "-c", script], root=Path("/nowhere"), show=output.put_nowait)


async def test_its_output_is_shown_and_its_last_lines_kept(output: Output) -> None:
    process = await started("for i in $(seq 100); do echo line $i; done; echo end >&2; exit 7", output)

    assert await process.ended() == "exited with 7"
    assert len(output.all()) == 101
    assert list(process.last_lines) == [*(f"line {number}" for number in range(82, 101)), "end"]


async def test_endless_lines_and_strange_bytes_do_no_harm(output: Output) -> None:
    process = await started("head -c 300000 /dev/zero; echo; printf 'a\\377\\n'", output)

    assert await process.ended() == "exited with 0"
    assert output.all()[-1] == "a\\xff"


async def test_a_signal_is_named(output: Output) -> None:
    process = await started("kill -SEGV $$", output)
    assert await process.ended() == "was ended by SIGSEGV"


async def test_stopping_asks_with_sigterm_first(output: Output) -> None:
    process = await started("trap 'echo bye; exit 3' TERM; echo ready; sleep 1000 & wait", output)
    assert await output.get() == "ready"

    assert await process.stop() == "exited with 3"
    assert output.all() == ["bye"]


async def test_who_does_not_listen_is_killed(output: Output) -> None:
    process = await started("trap '' TERM; echo ready; exec sleep 1000", output)
    assert await output.get() == "ready"

    assert await process.stop(patience=0.05) == "did not end in 0.05 s after SIGTERM and was killed"


async def test_what_a_plugin_started_ends_with_it(output: Output) -> None:
    process = await started("sleep 1000 & echo $!", output)
    await process.ended()
    child = os.pidfd_open(int(await output.get()))

    await process.stop()

    assert select.select([child], [], [], 5)[0]
    os.close(child)
