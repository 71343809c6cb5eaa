"""What `discover` prints, and the command line around it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from handmade_gpus import HandmadeGpus
from xpu_plugins.gpu.__main__ import main


@pytest.fixture
def node(gpus: HandmadeGpus) -> HandmadeGpus:
    gpus.card("card0", attributes={"vendor": "0x1a03"})
    gpus.card("card1", path="pci0000:17/0000:17:00.0", attributes={"numa_node": "zero"}, files=("card1", "renderD128"))
    gpus.link("pci-0000:17:00.0-card", "../card1")
    return gpus


def run(node: HandmadeGpus, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["discover", f"-prefix={node.root}", "--host-dev-root=/dev", *arguments]) == 0
    out, err = capsys.readouterr()
    assert not err
    return out


def test_a_table_says_what_is_offered_and_why_other_cards_are_not(
    node: HandmadeGpus, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = run(node, capsys, "-shared-dev-num=30", "-enable-monitoring").splitlines()

    assert [line.split("  ")[0] for line in lines] == [
        "RESOURCE",
        "gpu.intel.com/i915",
        "gpu.intel.com/monitoring",
        "",
        "NOT OFFERED",
        "card0",
        "",
        "ABOUT",
        "card1",
    ]
    cells = [cell.strip() for cell in lines[1].split("  ") if cell]
    assert cells == [
        "gpu.intel.com/i915",
        "card1-0 .. card1-29",
        "Healthy",
        "-",
        "dri/card1 dri/renderD128",
        "pci-0000:17:00.0-card",
        "intel.cdi.k8s.io/gpu=card1",
    ]
    assert lines[5].endswith("its vendor is 0x1a03, not Intel (0x8086)")
    assert "numa_node: expected a NUMA node" in lines[8]


def test_a_monitoring_device_of_many_files_is_shown_short(
    gpus: HandmadeGpus, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(4):
        gpus.card(f"card{number}", path=f"pci0000:00/0000:00:0{number}.0")

    assert "dri/card2 dri/renderD130 .. 8 files" in run(gpus, capsys, "-enable-monitoring")


def test_json_has_everything(node: HandmadeGpus, capsys: pytest.CaptureFixture[str]) -> None:
    printed = json.loads(run(node, capsys, "--output=json"))

    link = "/dev/dri/by-path/pci-0000:17:00.0-card"
    files = [
        {"hostPath": path, "containerPath": path, "permissions": "rw"}
        for path in ("/dev/dri/card1", "/dev/dri/renderD128")
    ]
    assert printed["resources"] == [
        {
            "name": "gpu.intel.com/i915",
            "listBytes": 20,
            "devices": [
                {
                    "id": "card1-0",
                    "health": "Healthy",
                    "numaNodes": [],
                    "nodes": files,
                    "mounts": [{"hostPath": link, "containerPath": link, "readOnly": True}],
                    "cdi": "intel.cdi.k8s.io/gpu=card1",
                }
            ],
        }
    ]
    assert printed["rejected"] == [
        {"subject": "card0", "reason": "its vendor is 0x1a03, not Intel (0x8086)", "expected": True}
    ]
    assert [problem["subject"] for problem in printed["problems"]] == ["card1"]


def test_what_the_kubelet_would_refuse_is_not_offered(gpus: HandmadeGpus, capsys: pytest.CaptureFixture[str]) -> None:
    gpus.card("card0")
    (gpus.drm / ("card" + "9" * 70)).symlink_to("../../devices/pci0000:00/0000:00:02.0/drm/card0")
    printed = run(gpus, capsys)

    assert "its id has 76 characters, at most 63 are possible" in printed


def test_texts_from_file_names_stay_on_their_line(gpus: HandmadeGpus, capsys: pytest.CaptureFixture[str]) -> None:
    root = gpus.root / "a\nb\udcff"
    root.mkdir()
    odd = HandmadeGpus(root / "node")
    odd.card("card0", attributes={"vendor": None})

    assert len(run(odd, capsys).splitlines()) == 4


def test_a_node_without_gpus_is_no_error(gpus: HandmadeGpus, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(gpus, capsys) == "No GPU is offered.\n"
    assert json.loads(run(gpus, capsys, "--output", "json")) == {"resources": [], "rejected": [], "problems": []}


def test_without_class_drm_it_fails_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["discover", f"-prefix={tmp_path}"]) == 1

    out, err = capsys.readouterr()
    assert not out
    assert err.count("\n") == 1
    assert err.startswith("xpu-gpu-plugin: no GPU can be seen: ")
    assert f"{tmp_path}/sys/class/drm" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-bypath=x"], "flag --bypath: expected one of single, none, all, found 'x'"),
        (["discovr"], "unexpected argument 'discovr': expected discover"),
        (["--output=json"], "--output=json is only for discover"),
    ],
)
def test_a_command_line_that_cannot_be_used_is_one_line_and_exit_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"xpu-gpu-plugin: {message}\n"


def test_help_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-help"]) == 0

    out, err = capsys.readouterr()
    assert "--shared-dev-num" in out
    assert not err


def test_the_module_runs_and_discover_needs_no_grpc(node: HandmadeGpus) -> None:
    code = "import sys; from xpu_plugins.gpu.__main__ import main; main(sys.argv[1:]); print('grpc' in sys.modules)"
    arguments = ["discover", f"-prefix={node.root}"]

    as_module = subprocess.run(
        [sys.executable, "-m", "xpu_plugins.gpu", *arguments], capture_output=True, text=True, check=True
    )
    in_code = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)

    assert "gpu.intel.com/i915" in as_module.stdout
    assert in_code.stdout.endswith("False\n")
