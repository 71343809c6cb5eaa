"""The program with a real library, real ZeroMQ and real processes, from the outside."""

import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest
import zmq

from level_zero import BDF, Scenario
from sidecars.level_zero.program import Program, directory, has_ended, reading, sidecar
from xpu_shared.telemetry.kinds import Group, Mode, Verdict
from xpu_simulator.level_zero.lines import line

OTHER = "0000:4b:00.0"


def gpu(celsius: object = 50, **outcomes: object) -> list[str]:
    return [
        line("driver"),
        line("device", bdf=BDF, **outcomes),
        line("temperature", type=1, celsius=celsius),
        line("memory", size=1 << 34),
    ]


def two_gpus(**outcomes: object) -> list[str]:
    return [*gpu(), line("device", bdf=OTHER, **outcomes), line("temperature", type=1, celsius=60)]


def test_snapshots_say_who_measured_what_and_how_long_it_is_good(library: Scenario) -> None:
    library.says(*gpu())
    with reading(library) as (_, subscribed):
        device = subscribed.device(BDF, lambda device: device.temperatures)
        subscribed.device(BDF)

    first, last = subscribed.envelopes[0], subscribed.envelopes[-1]
    assert (last.source, last.node, last.validity) == ("level-zero", "node-1", 1.0)
    assert last.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert last.sequence > first.sequence >= first.start_sequence == last.start_sequence
    assert (last.payload.mode, last.payload.unavailable) == (Mode.SYSMAN, "")
    assert last.payload.collector_version
    assert device.temperatures[0].celsius == 50
    age = device.groups[Group.TEMPERATURE].age
    assert age is not None
    assert age < 1


def test_a_gpu_that_overheats_is_told_and_so_is_its_recovery(library: Scenario) -> None:
    library.says(*gpu())
    with reading(library) as (_, subscribed):
        subscribed.device(BDF)
        library.says(*gpu(112))
        subscribed.device(BDF, lambda device: device.temperatures[0].celsius == 112)
        library.says(*gpu(reset=1))
        found = subscribed.device(BDF, lambda device: device.state.wedged)
        assert (found.soc_ok.verdict, found.soc_ok.reason) == (Verdict.FAILED, "wedged")
        library.says(*gpu())
        subscribed.device(BDF, lambda device: device.state.wedged is False)


def test_a_device_that_hangs_grows_old_and_the_others_do_not(library: Scenario) -> None:
    library.says(*two_gpus())
    with reading(library) as (_, subscribed):
        subscribed.device(OTHER)
        library.says(*two_gpus(zesDeviceGetState="hang"))
        old = subscribed.device(OTHER, lambda device: (device.groups[Group.STATE].age or 0) > 0.5)
        fresh = next(device for device in subscribed.envelopes[-1].payload.devices if device.pci_address == BDF)

    assert old.temperatures[0].celsius == 60
    assert (fresh.groups[Group.STATE].age or 0.0) < 0.45


def test_a_crash_of_the_driver_leaves_what_was_known(library: Scenario) -> None:
    library.says(*gpu())
    with reading(library) as (program, subscribed):
        subscribed.device(BDF)
        library.says(*gpu(zesDeviceGetState="crash"))
        crashed = subscribed.until(lambda snapshot: "SIGSEGV" in snapshot.unavailable)
        assert [device.pci_address for device in crashed.devices] == [BDF]
        assert re.fullmatch(r"the collector was ended by SIGSEGV; starts again in \d+ s", crashed.unavailable)
        library.says(*gpu(51))
        subscribed.device(BDF, lambda device: device.temperatures[0].celsius == 51)
        assert program.process.poll() is None


@pytest.mark.parametrize("victim", ["sidecar", "child"])
def test_kill_at_any_time_and_everything_is_right_again_in_two_seconds(library: Scenario, victim: str) -> None:
    library.says(*gpu())
    with reading(library) as (program, subscribed):
        subscribed.device(BDF)
        child = program.child()
        if victim == "child":
            os.kill(child, signal.SIGKILL)
            died = time.monotonic()
            subscribed.until(lambda snapshot: snapshot.unavailable)
            subscribed.until(lambda snapshot: not snapshot.unavailable)
            assert time.monotonic() - died < 1.0 + 2.0  # the pause, and what was promised
            return
        arguments = program.arguments
        program.process.kill()
        assert has_ended(child)
        before = subscribed.envelopes[-1]
        started = time.monotonic()
        with sidecar(*arguments):
            subscribed.until(lambda _: subscribed.envelopes[-1].start_sequence > before.start_sequence)
            subscribed.device(BDF)
            assert time.monotonic() - started < 2.0 + 1.0  # and what a busy machine takes


@pytest.mark.parametrize("hang", [{}, {"zesDeviceGetState": "hang"}, {"zesInit": "hang"}])
def test_it_ends_quickly_with_exit_code_0(library: Scenario, hang: dict[str, str]) -> None:
    library.says(line("library", **hang) if "zesInit" in hang else line("library"), *gpu(**hang))
    with reading(library) as (program, subscribed):
        subscribed.until(lambda _: True)
        program.read_until("starts")
        child = program.child()
        asked = time.monotonic()
        assert program.end() == 0
        assert time.monotonic() - asked < 3.0
        assert has_ended(child)
        assert "stops" in program.log


def test_a_long_interval_is_no_silence(library: Scenario) -> None:
    library.says(*gpu())
    with reading(library, "--sampling-interval=1h") as (program, subscribed):
        subscribed.device(BDF)
        found = subscribed.device(BDF, lambda device: (device.groups[Group.STATE].age or 0) > 2)  # told, not sampled
        assert found.groups[Group.STATE].age is not None
        assert subscribed.envelopes[-1].validity == 3 * 3600
        assert program.process.poll() is None


def test_it_ends_while_its_child_does_not_listen(library: Scenario) -> None:
    library.says(*gpu())
    with reading(library) as (program, subscribed):
        subscribed.device(BDF)
        os.kill(program.child(), signal.SIGSTOP)
        assert program.end(signal.SIGINT) == 0


def test_without_a_library_it_runs_and_says_so(library: Scenario) -> None:
    with reading(f"{library.library}.not") as (program, subscribed):
        found = subscribed.until(lambda snapshot: "cannot be loaded" in snapshot.unavailable)
        assert found.devices == ()
        assert "No such file" in program.read_until("nothing is read")
        assert program.page("/readyz")[0] == 200
        assert "unavailable: library" in program.page("/readyz")[1]
        subscribed.until(lambda _: len(subscribed.envelopes) > 3)  # it goes on telling
        assert program.process.poll() is None


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "no Level-Zero driver, or none for these GPUs"),
        ([line("library")], "no driver"),
        ([line("driver")], "no GPU: the driver knows none"),
        ([line("driver"), line("device", bdf=BDF, type=5)], "no GPU: none of the devices can be used"),
        ([line("driver"), line("device", bdf=BDF, zesDevicePciGetProperties="0x70010000")], "insufficient permissions"),
    ],
)
def test_without_anything_to_read_it_says_why(library: Scenario, lines: list[str], reason: str) -> None:
    library.says(*lines)
    with reading(library) as (_, subscribed):
        subscribed.until(lambda snapshot: reason in snapshot.unavailable)


def test_wsl_publishes_indices(library: Scenario) -> None:
    library.says(line("driver"), line("device", bdf=BDF), line("device", bdf=OTHER, vendor="0x10de"))
    with reading(library, "-wsl") as (_, subscribed):
        found = subscribed.until(lambda snapshot: snapshot.wsl)
    assert found.wsl is not None
    assert (found.wsl.indices, found.wsl.hierarchy, found.devices) == ((0,), "FLAT", ())


def test_gpus_that_come_are_found_when_the_kernel_has_them(library: Scenario) -> None:
    """The library finds devices only once, so the sidecar watches the drivers in sysfs."""
    library.says(line("driver"))
    with reading(library) as (program, subscribed):
        subscribed.until(lambda snapshot: "no GPU" in snapshot.unavailable)
        library.says(*gpu())
        root = Path(program.flag("sysfs-root"))
        (root / "bus/pci/drivers/i915" / BDF).mkdir(parents=True)
        subscribed.device(BDF)


def test_the_page_tells_how_the_collector_fares(library: Scenario) -> None:
    library.says(*two_gpus(zesDevicePciGetState="0x7ffffffe"))
    expected = (
        "xpu_source_up 1\n",
        "xpu_collector_starts_total 1\n",
        'xpu_collector_devices{state="sampled"} 2\n',
        f'xpu_collector_failed_calls_total{{pci_bdf="{OTHER}",group="pci"}} ',
        "xpu_telemetry_subscriptions 1\n",
        'xpu_build_info{program="xpu-level-zero-sidecar"',
    )
    with reading(library, "-v=1") as (program, subscribed):
        subscribed.device(BDF)
        subscribed.device(BDF)
        assert program.page("/healthz") == (200, "ok\n")
        assert program.page("/readyz") == (200, "ok\n")
        deadline = time.monotonic() + 15  # the page is rendered after the snapshot, in its own time
        while missing := [series for series in expected if series not in program.page("/metrics")[1]]:
            assert time.monotonic() < deadline, missing
            time.sleep(0.05)


def test_each_change_is_one_line_of_the_log(library: Scenario) -> None:
    library.says(*gpu(zesDevicePciGetState="0x7ffffffe"))
    with reading(library, "-v=1") as (program, subscribed):
        subscribed.device(BDF)
        library.says(*gpu(reset=1))
        subscribed.device(BDF, lambda device: device.state.wedged)
        library.says(*gpu())
        subscribed.device(BDF, lambda device: device.state.wedged is False)
        subscribed.until(lambda _: len(subscribed.envelopes) > 30)
        program.end()

    lines = [text.split("] ", 1)[1] for text in program.log.splitlines()]
    assert [text for text in lines if "reads the library" in text] == [
        '"reads the library" mode="sysman" driver="1.6.0"'
    ]
    assert lines.count(f'"{BDF}: pci: unknown (0x7FFFFFFE)"') == 1
    assert lines.count(f'"{BDF}: SoC failed: wedged"') == 1
    assert lines.count(f'"no longer" text="{BDF}: SoC failed: wedged"') == 1


def test_what_a_driver_prints_is_no_output_of_ours(library: Scenario) -> None:
    library.says(*gpu())
    with reading(library) as (program, subscribed):
        subscribed.device(BDF)
        library.path.write_text("nonsense\n")  # of which the library complains
        assert "an unknown keyword" in program.read_until("stays as it was")


def test_the_reference_s_overlay_works_without_a_flag_of_ours(library: Scenario) -> None:
    """Its volume is at the directory of -socket; its other flags are log flags."""
    library.says(*gpu())
    with directory() as path:
        flags = ("-v=2", "-logtostderr", f"-socket={path}/server.sock", f"--library={library.library}")
        with sidecar(*flags, "--metrics-address=127.0.0.1:0") as program:
            assert f"ipc://{path}/level-zero.sock" in program.read_until('"publishes"')
        assert not (path / "server.sock").exists()


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_in_the_socket_s_place_is_left_alone(library: Scenario, kind: str) -> None:
    with directory() as path:
        place = path / "level-zero.sock"
        if kind == "file":
            place.touch()
        elif kind == "directory":
            place.mkdir()
        else:
            place.symlink_to("/dev/null")
        before = place.lstat()
        with sidecar(
            f"--publish=ipc://{place}", f"--library={library.library}", "--metrics-address=127.0.0.1:0"
        ) as program:
            line_ = program.read_until("cannot publish, keeps trying")
            assert str(place) in line_
            assert "not a socket" in line_
            assert program.page("/readyz")[0] == 503
            assert str(place) in program.page("/readyz")[1]
        assert place.lstat() == before


def test_a_second_sidecar_waits_for_the_first_one_s_socket(library: Scenario) -> None:
    library.says(*gpu())
    with directory() as path:
        flags = (
            f"--publish=ipc://{path}/s",
            f"--library={library.library}",
            "--metrics-address=127.0.0.1:0",
            "--sampling-interval=100ms",
        )
        with sidecar(*flags) as first:
            first.read_until('"publishes"')
            with sidecar(*flags) as second:
                assert "another process listens there" in second.read_until("cannot publish")
                assert first.end() == 0
                second.read_until('"publishes"')


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (["--sampling-interval=0s"], "flag --sampling-interval: expected a duration"),
        (["--sampling-interval=2h"], "flag --sampling-interval"),
        (["--publish=/run/xpu/x"], "flag --publish: expected ipc://"),
        ([f"--publish=ipc:///{'x' * 107}"], "flag --publish: expected ipc://"),
        (
            ["--publish=tcp://0.0.0.0:5556"],
            "--publish=tcp://0.0.0.0:5556: tcp:// is only used with keys, --publish-secret-key and",
        ),
        ([f"-socket=/{'x' * 100}/s.sock"], "expected a path whose directory has room for level-zero.sock"),
        (["--library"], "flag --library needs a value"),
        (["--library="], "flag --library: expected a text of 1 to 4096 characters, found ''"),
        (["--publish=ipc:///"], "flag --publish: expected ipc://"),
        (["--librar=x"], "did you mean --library"),
        (["serve"], "unexpected argument 'serve'"),
        (
            ["--publish=tcp://0.0.0.0:5556", "--publish-secret-key=/no", "--publish-allowed-keys=/no"],
            "/no: No such file",
        ),
    ],
)
def test_settings_that_cannot_be_used_are_named(flags: list[str], error: str) -> None:
    program = Program(*flags)
    assert program.end_by_itself() == 2
    assert error in program.log
    assert program.log.count("\n") == 1


def test_help_has_every_flag(capfd: pytest.CaptureFixture[str]) -> None:
    program = Program("--help")
    assert program.end_by_itself() == 0
    text = " ".join(capfd.readouterr().out.split())
    for flag in ("--library", "--sampling-interval", "--wsl", "--publish", "--socket", "--metrics-address", "-v"):
        assert f" {flag} " in text
    assert "(default libze_loader.so.1)" in text
    assert "(default :9101)" in text


def test_a_settings_file_says_the_same(library: Scenario) -> None:
    library.says(*gpu())
    with directory() as path:
        config = path / "config.yaml"
        config.write_text(
            f"library: {library.library}\npublish: ipc://{path}/a.sock\nsampling-interval: 100ms\n"
            "metrics-address: 127.0.0.1:0\n"
        )
        with sidecar(f"--config={config}", f"--publish=ipc://{path}/b.sock") as program:
            assert "b.sock" in program.read_until('"publishes"')
            program.read_until("reads the library")


def test_over_tcp_only_an_allowed_key_hears(library: Scenario) -> None:
    library.says(*gpu())
    server_public, server_secret = zmq.curve_keypair()
    friend, stranger = zmq.curve_keypair(), zmq.curve_keypair()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint = f"tcp://127.0.0.1:{port}"
    with directory() as path:
        (path / "secret").write_bytes(server_secret)
        (path / "allowed").write_bytes(friend[0] + b" a plugin\n")
        flags = (
            f"--publish={endpoint}",
            f"--publish-secret-key={path}/secret",
            f"--publish-allowed-keys={path}/allowed",
        )
        with sidecar(
            *flags, f"--library={library.library}", "--sampling-interval=100ms", "--metrics-address=127.0.0.1:0"
        ) as program:
            program.read_until('"publishes"')
            with zmq.Context() as context:
                heard = {}
                for name, (public, secret) in {"friend": friend, "stranger": stranger}.items():
                    with context.socket(zmq.SUB) as subscriber:
                        subscriber.curve_publickey, subscriber.curve_secretkey = public, secret
                        subscriber.curve_serverkey = server_public
                        subscriber.linger = 0
                        subscriber.subscribe(b"")
                        subscriber.connect(endpoint)
                        heard[name] = bool(subscriber.poll(5000 if name == "friend" else 500))
    assert heard == {"friend": True, "stranger": False}
