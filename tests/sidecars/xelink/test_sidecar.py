"""The sidecar as a process: page in, snapshots, labels and metrics out; its bad days; its end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.api_server import serving as api_serving
from sidecars.xelink.program import PROGRAM, sidecar
from xpu_shared.program.flags import UsageError
from xpu_shared.program.settings import load
from xpu_shared.telemetry.topology import TopologySnapshot, TopologyState
from xpu_sidecars.xelink.settings import XelinkSettings, completed
from xpum_pages import EXAMPLE, address, both, drip, serving

EMPTY = "gpu.intel.com/xe-links="
LINK = "gpu.intel.com/xe-links=0.0-1.0"
CLOCK = Path(__file__).parents[2] / "soak/clock"


def linked(count: int) -> object:
    return lambda snapshot: len(snapshot.links) == count


def shows(line: str) -> Callable[[TopologySnapshot], bool]:
    return lambda snapshot: snapshot.labels == (line,)


def has_links(snapshot: TopologySnapshot) -> bool:
    return bool(snapshot.links)


def test_a_page_becomes_snapshots_labels_and_metrics() -> None:
    with serving() as xpum:
        xpum.show(*both("0.0", "1.0"), *both("0.1", "1.1"))
        with sidecar("--source=xpum", f"--xpum-url={xpum.url}") as program:
            found = program.until(has_links)
            assert (found.source, found.state) == ("xpum-1.x", TopologyState.OK)
            assert [device.pci_address for device in found.devices] == [address(0), address(1)]
            line = "gpu.intel.com/xe-links=0.0-1.0_0.1-1.1"
            assert found.labels == (line,)
            program.wait_for_labels(line)
            _, page = program.page("/metrics")
            assert program.page("/readyz") == (200, "ok\n")

    pair = f'pci_bdf="{address(0)}",remote_pci_bdf="{address(1)}",remote_subdevice_id="0",subdevice_id="0"'
    for metric in (
        f"gpu_xelink_lanes{{{pair}}} 8.0",
        f'gpu_xelink_links{{pci_bdf="{address(0)}",status="healthy"}} 2.0',
        "gpu_xelink_topology_known 1.0",
        "gpu_xelink_last_success_timestamp_seconds ",
        "xpu_source_up 1.0",
        'xpu_label_writes_total{sink="nfd"} 1.0',
    ):
        assert metric in page
    topology = [line for line in page.splitlines() if line.startswith("xpum_topology_link{")]
    assert len(topology) == 4
    assert (
        f'xpum_topology_link{{lane_count="8",local_device_id="0",local_on_subdevice="true",local_subdevice_id="0",'
        f'pci_bdf="{address(0)}",remote_device_id="1",remote_subdevice_id="0"}} 1.0'
    ) in topology


def test_its_own_page_can_be_the_source_of_another_sidecar() -> None:
    with serving() as xpum:
        xpum.show(*both("0.0", "1.0"), *both("0.1", "1.1"), *both("10.0", "2.1"))
        with sidecar("--source=xpum", f"--xpum-url={xpum.url}") as first:
            expected = first.until(has_links)
            first.page("/readyz")
            port = first.log.split('"serves metrics"')[1].split("port=")[1].split()[0]
            with sidecar("--source=xpum", f"--xpum-url=http://127.0.0.1:{port}/metrics") as second:
                found = second.until(has_links)
    assert (found.links, found.devices) == (expected.links, expected.devices)
    assert sorted(found.labels) == ["gpu.intel.com/xe-links=0.0-1.0_0.1-1.1_2.1-10.0"]


def test_the_worked_example_over_http() -> None:
    with serving() as xpum:
        xpum.show(EXAMPLE)
        with sidecar(
            "-source=xpum", f"-xpum-url={xpum.url}", "-lane-count=3", "-label-namespace=lab.example"
        ) as program:
            program.wait_for_labels("lab.example/xe-links=2.1-5.0_2.0-3.0_3.1-10.0_7.0-7.1_7.1-7.0")


def test_a_change_is_in_the_file_and_published_soon_after_the_answer() -> None:
    with serving() as xpum:
        xpum.show(*both("0.0", "1.0"))
        with sidecar("--source=xpum", f"--xpum-url={xpum.url}") as program:
            program.wait_for_labels(LINK)
            seen = len(xpum.requests)
            xpum.show(*both("0.0", "1.0"), *both("0.1", "1.1"))
            while len(xpum.requests) == seen:
                time.sleep(0.001)
            answered = time.monotonic()
            program.until(lambda snapshot: len(snapshot.links) == 2)
            program.wait_for_labels("gpu.intel.com/xe-links=0.0-1.0_0.1-1.1")
            assert time.monotonic() - answered < 1.0  # `make bench` measures; this machine may be busy


def test_no_change_of_links_waits_for_being_written_however_many_there_were() -> None:
    with serving() as xpum:
        xpum.show(*both("0.0", "1.0"))
        with sidecar("--source=xpum", f"--xpum-url={xpum.url}") as program:
            for number in range(1, 16):
                xpum.show(*both("0.0", f"{number}.0"))
                line = f"gpu.intel.com/xe-links=0.0-{number}.0"
                program.until(shows(line))
                published = time.monotonic()
                program.wait_for_labels(line)
                assert time.monotonic() - published < 1.0


def test_the_last_links_serve_while_the_source_is_away_and_then_labels_are_empty() -> None:
    with serving() as xpum:
        xpum.show(*both("0.0", "1.0"))
        with sidecar("--source=xpum", f"--xpum-url={xpum.url}", "--keep-last=2500ms") as program:
            program.until(has_links)
            program.wait_for_labels(LINK)
            xpum.status = 500
            kept = program.until(lambda snapshot: snapshot.reason)
            assert (kept.state, len(kept.links)) == (TopologyState.OK, 1)
            assert "HTTP status 500" in kept.reason
            assert program.file_lines() == [LINK]

            gone = program.until(lambda snapshot: snapshot.state is TopologyState.UNKNOWN)
            assert gone.links == ()
            program.wait_for_labels(EMPTY)
            _, page = program.page("/metrics")
            assert 'gpu_xelink_source_errors_total{reason="status"}' in page
            assert "xpu_source_up 0.0" in page

            xpum.status = 200
            program.until(has_links)
            program.wait_for_labels(LINK)
            assert program.end() == 0
    assert program.log.count("links are not learnt now") == 1
    assert program.log.count('"links are learnt"') == 2


def test_a_page_that_never_ends_costs_a_counted_error_and_nothing_else() -> None:
    with serving() as xpum:
        xpum.show(*both("0.0", "1.0"))
        with sidecar("--source=xpum", f"--xpum-url={xpum.url}", "--keep-last=1h") as program:
            program.until(has_links)
            xpum.misbehave = drip(xpum, b"x 1\n")
            before = len(xpum.requests)
            while len(xpum.requests) == before:
                time.sleep(0.01)
            for _ in range(2):  # snapshots go on coming meanwhile
                program.until(has_links, within=3.0)
            program.until(lambda snapshot: "within 5 s" in snapshot.reason)
            xpum.misbehave = None
            program.until(lambda snapshot: not snapshot.reason)
            assert 'gpu_xelink_source_errors_total{reason="timeout"} 1.0' in program.page("/metrics")[1]


def test_nobody_there_at_the_start_leaves_the_labels_of_before_for_a_while() -> None:
    with serving() as xpum:
        url = xpum.url
    with sidecar("--source=xpum", f"--xpum-url={url}", "--keep-last=1500ms", "--startup-delay=0") as program:
        program.labels.write_text(f"# +expiry-time=2999-01-01T00:00:00Z\n{LINK}\n")
        program.until(lambda snapshot: snapshot.reason and not snapshot.labels)
        assert program.file_lines() == [LINK]
        program.until(lambda snapshot: snapshot.labels == (EMPTY,))
        program.wait_for_labels(EMPTY)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_and_takes_the_labels_away(number: signal.Signals) -> None:
    with serving() as xpum:
        xpum.show(*both("0.0", "1.0"))
        with sidecar("--source=xpum", f"--xpum-url={xpum.url}", "--interval=3600") as program:
            program.wait_for_labels(LINK)
            started = time.monotonic()
            assert program.end(number) == 0
            assert time.monotonic() - started < 3.0
            assert not program.labels.exists()
            assert os.listdir(program.labels.parent) == []


def test_a_signal_ends_the_delay_at_the_start_and_labels_may_stay() -> None:
    with sidecar("--source=xpum", "--startup-delay=3600", "--remove-labels-on-exit=false") as program:
        program.labels.write_text("x")
        program.read_until("starts")
        assert program.end() == 0
        assert program.labels.read_text() == "x"


def test_labels_go_to_the_node_as_one_patch_of_own_keys(tmp_path: Path) -> None:
    from xpu_shared.labels.node_sink import NodeSink
    from xpu_sidecars.xelink.labelling import labels, own

    with api_serving(tmp_path) as (miniature, api):
        stale = {"gpu.intel.com/xe-links2": "Z_1", "gpu.intel.com/xe-links3": "Z_2", "gpu.intel.com/xe-linksX": "x"}
        miniature.nodes["n1"] = {"metadata": {"labels": dict(stale)}}
        from xpu_shared.labels.node import NodeLabels

        sink = NodeSink(NodeLabels(api, "n1", is_own=own("gpu.intel.com")))
        sink.update(labels("gpu.intel.com", "0.0-1.0"))

        patches = [body for method, _, _, body in miniature.requests if method == "PATCH"]
        assert patches == [
            {
                "metadata": {
                    "labels": {
                        "gpu.intel.com/xe-links": "0.0-1.0",
                        "gpu.intel.com/xe-links2": None,
                        "gpu.intel.com/xe-links3": None,
                    }
                }
            }
        ]


def test_without_sinks_nothing_is_written() -> None:
    with serving() as xpum:
        xpum.show(*both("0.0", "1.0"))
        with sidecar("--source=xpum", f"--xpum-url={xpum.url}", "--label-sink=none") as program:
            program.until(has_links)
            assert program.end() == 0
            assert os.listdir(program.labels.parent) == []


def test_verbosity_shows_pages_samples_and_labels() -> None:
    with serving() as xpum:
        xpum.show(*both("0.0", "1.0"))
        with sidecar("--source=xpum", f"--xpum-url={xpum.url}", "-v=5") as program:
            assert "about_links=2" in program.read_until("a metrics page")
            assert "remote_device_id=1" in program.read_until("a sample")
            program.read_until("labels are written")


def test_a_directory_in_the_file_s_place_costs_the_labels_only() -> None:
    with serving() as xpum:
        xpum.show(*both("0.0", "1.0"))
        with sidecar("--source=xpum", f"--xpum-url={xpum.url}", "--startup-delay=1") as program:
            program.labels.mkdir()
            program.until(has_links)
            assert "is a directory" in program.read_until("cannot write labels")
            assert 'xpu_label_failures_total{sink="nfd"}' in program.page("/metrics")[1]


def test_a_link_in_the_file_s_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    with serving() as xpum:
        xpum.show(*both("0.0", "1.0"))
        with sidecar("--source=xpum", f"--xpum-url={xpum.url}", "--startup-delay=1") as program:
            program.labels.symlink_to(tmp_path / "precious")
            program.until(has_links)
            deadline = time.monotonic() + 10
            while program.labels.is_symlink():
                assert time.monotonic() < deadline
                time.sleep(0.01)
            program.wait_for_labels(LINK)
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    directory = tmp_path / "features.d"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "small", directory], check=True)
    yield directory
    subprocess.run(["umount", directory], check=True)


def test_a_read_only_directory_costs_the_labels_only_and_no_longer_than_it_is_read_only(small_disk: Path) -> None:
    with serving() as xpum:
        xpum.show(*both("0.0", "1.0"))
        with sidecar("--source=xpum", f"--xpum-url={xpum.url}", f"--features-dir={small_disk}") as program:
            program.labels = small_disk / "xpum-sidecar-labels.txt"
            program.wait_for_labels(LINK)
            subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
            xpum.show(*both("0.0", "2.0"))
            assert "Read-only file system" in program.read_until("cannot write labels")
            program.until(shows("gpu.intel.com/xe-links=0.0-2.0"))
            assert program.file_lines() == [LINK]
            subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
            program.wait_for_labels("gpu.intel.com/xe-links=0.0-2.0")
            subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
            assert program.end() == 0
        assert "cannot remove labels" in program.log
    assert os.listdir(small_disk) == ["xpum-sidecar-labels.txt"]


def test_a_full_disk_costs_the_labels_only_and_leaves_nothing_behind(small_disk: Path) -> None:
    with serving() as xpum:
        xpum.show(*both("0.0", "1.0"))
        with sidecar("--source=xpum", f"--xpum-url={xpum.url}", f"--features-dir={small_disk}") as program:
            program.labels = small_disk / "xpum-sidecar-labels.txt"
            program.wait_for_labels(LINK)
            (small_disk / "other").write_bytes(b"x" * 4096)
            xpum.show(*both("0.0", "2.0"))
            assert "No space left" in program.read_until("cannot write labels")
            assert program.file_lines() == [LINK]
            assert sorted(os.listdir(small_disk)) == ["other", "xpum-sidecar-labels.txt"]
            (small_disk / "other").unlink()
            program.wait_for_labels("gpu.intel.com/xe-links=0.0-2.0")


def test_the_wall_clock_decides_about_nothing_but_the_expiry_of_labels(tmp_path: Path) -> None:
    clock = tmp_path / "clock"

    def jump(ahead: int) -> None:
        clock.with_suffix(".new").write_text(str(ahead))
        clock.with_suffix(".new").rename(clock)

    jump(0)
    environment = {"XPU_SOAK_CLOCK": str(clock), "PYTHONPATH": str(CLOCK)}
    with serving() as xpum:
        xpum.show(*both("0.0", "1.0"))
        flags = ["--source=xpum", f"--xpum-url={xpum.url}", "--keep-last=1h"]
        with sidecar(*flags, environment=environment) as program:
            program.wait_for_labels(LINK)
            xpum.status = 500
            for ahead in (400 * 86_400, -3600):
                jump(ahead)
                deadline = time.monotonic() + 15
                while not 500 < program.expires_at() - (time.time() + ahead) <= 600:
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                assert program.file_lines() == [LINK]
                assert program.until(lambda snapshot: snapshot.reason).state is TopologyState.OK


def test_what_a_crash_of_the_program_before_has_left_is_removed(tmp_path: Path) -> None:
    left, other = tmp_path / "xpumsidecar123", tmp_path / "xpumsidecar456"
    for path in (left, other):
        path.mkdir()
        (path / "xpum-sidecar-labels.txt").touch()
    (other / "mine").touch()
    (tmp_path / "xpumsidecarX").mkdir()
    with sidecar("--source=xpum", f"--tmp-dir-prefix={tmp_path}", "--startup-delay=3600") as program:
        program.read_until("starts")
    assert sorted(os.listdir(tmp_path)) == ["xpumsidecar456", "xpumsidecarX"]


def settings(*arguments: str) -> XelinkSettings:
    return completed(load(XelinkSettings, arguments, program="x", description="x"))


def test_defaults_are_those_of_the_program_before() -> None:
    found = settings()

    assert (found.interval, found.startup_delay, found.lane_count, found.keep_last) == (10, 10, 4, 60.0)
    assert found.place.url == "http://127.0.0.1:29999/metrics"
    assert str(found.label_file) == "/etc/kubernetes/node-feature-discovery/features.d/xpum-sidecar-labels.txt"
    assert found.endpoints == ("ipc:///run/xpu/xelink.sock",)
    assert settings("-interval=20").keep_last == 120.0
    assert settings("-interval=20", "--keep-last=5s").keep_last == 5.0
    assert settings("-keep-last=0").keep_last == 0.0
    assert settings("-cert", "/c.pem", "-xpum-port", "1").place.url == "https://127.0.0.1:1/metrics"
    assert settings("-label-sink=file", "-label-sink=node").label_sinks == ("nfd", "node")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["-interval=0"], "flag --interval: expected an integer from 1 to 86400, found '0'"),
        (["-interval=10s"], "expected an integer"),
        (["-xpum-port=0"], "flag --xpum-port"),
        (["-lane-count=-1"], "flag --lane-count"),
        (["-label-namespace=Lab.Example"], "flag --label-namespace: .*found 'Lab.Example'"),
        (["-label-namespace="], "flag --label-namespace"),
        ([f"-label-namespace={'a.' * 127}aa"], "flag --label-namespace"),
        (["-source=x"], "one of auto, native, xpum"),
        (["-xpum-url=ftp://x/"], "flag --xpum-url: expected a URL"),
        (["-xpum-url=http://u:p@x/"], "flag --xpum-url"),
        (["-xpum-url=http://x:99999/"], "flag --xpum-url"),
        (["-xpum-url=http://x/", "-cert=/c"], "certificates are for https"),
        (["-label-sink=none", "-label-sink=node"], "cannot be given together"),
        (["-publish=tcp://h:1"], "only used with keys"),
        (["-nosuch"], "nosuch"),
    ],
)
def test_a_bad_flag_is_one_line(flags: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        settings(*flags)


def test_the_command_line_ends_with_2_and_help_with_0() -> None:
    bad = subprocess.run([PROGRAM, "-interval=x"], capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stderr.count("\n")) == (2, 1)
    good = subprocess.run([PROGRAM, "-h"], capture_output=True, text=True, check=True)
    assert "--keep-last" in good.stdout


def test_a_node_sink_without_a_pod_is_refused() -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KUBERNETES")}
    done = subprocess.run(
        [PROGRAM, "-label-sink=node"],
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "NODE_NAME": "n"},
    )
    assert done.returncode == 2
    assert "--label-sink=node" in done.stderr


def test_imports_follow_features() -> None:
    code = (
        "import sys; from xpu_sidecars.xelink.__main__ import main; main(['-help']);"
        "print([name for name in ('zmq', 'grpc', 'prometheus_client', 'yaml', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
