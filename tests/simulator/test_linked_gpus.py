"""Linked GPUs from the simulated fabric to pods: the demo, and the XeLink sidecar with XPU Manager as its source."""

import re
import time
from pathlib import Path

import pytest
import trustme

from simulator.process import Simulator
from xpu_simulator.__main__ import main

PLUGIN = "xpu-gpu-plugin --allocation-policy=topology --telemetry {topology} --health-management=false"


def wait_for(path: Path, text: str) -> None:
    deadline = time.monotonic() + 15
    while not path.is_file() or text not in path.read_text().splitlines():
        assert time.monotonic() < deadline, path.read_text() if path.is_file() else f"no {path}"
        time.sleep(0.01)


def root(simulator: Simulator) -> Path:
    match = re.search(r" in (/\S+)", simulator.read_until("and kubelet"))
    assert match
    return Path(match[1])


def test_the_demo_of_linked_gpus_passes(directory: Path) -> None:
    simulator = Simulator(
        directory,
        *("--scenario", "xelink", "--plugin", PLUGIN, "--sidecar", "xpu-xelink-sidecar"),
        node="two-islands",
    )
    assert simulator.finish() == 0, simulator.output
    assert "XPU_GPU_LINKS=0.0-1.0:4," in simulator.output
    assert "xpu-xelink-sidecar exited with 0" in simulator.output


def test_a_link_is_broken_from_another_terminal(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    node = tmp_path / "pair.yaml"
    node.write_text("fabric: [gpu0.0 gpu1.0]\ngpus: [{model: max-1100}, {model: max-1100}]\n")
    simulator = Simulator(directory, "--sidecar", "xpu-xelink-sidecar", node=str(node))
    labels = root(simulator) / "features.d/xpum-sidecar-labels.txt"
    wait_for(labels, "gpu.intel.com/xe-links=0.0-1.0")
    assert main(["fault", "link", "gpu1.0", "gpu0.0", "--down"]) == 0
    wait_for(labels, "gpu.intel.com/xe-links=")
    assert main(["fault", "link", "gpu0.0", "gpu1.0", "--up"]) == 0
    wait_for(labels, "gpu.intel.com/xe-links=0.0-1.0")
    assert capsys.readouterr().out == "link gpu1.0 gpu0.0 is down\nlink gpu0.0 gpu1.0 is up\n"
    for arguments, error in (
        (["link", "gpu0.0", "gpu1.0"], "expected two tiles such as gpu0.0 gpu3.1, and --down"),
        (["link", "gpu0.0", "--down"], "expected two tiles"),
        (["link", "gpu0", "gpu1", "--down"], "expected a GPU's name and tile such as gpu0.1, found 'gpu0'"),
        (["gpu0", "--down"], "are for: fault link"),
        (["link", "gpu0.0", "gpu5.0", "--down"], "no device 'gpu5'"),
    ):
        assert main(["fault", *arguments]) == 2
        assert error in capsys.readouterr().err
    simulator.process.terminate()
    assert simulator.finish() == 0, simulator.output


def test_a_page_of_xpu_manager_by_https_with_a_token(directory: Path, tmp_path: Path) -> None:
    ca = trustme.CA()
    issued = ca.issue_cert("127.0.0.1")
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    issued.private_key_pem.write_to_path(tmp_path / "tls.key")
    (tmp_path / "token").write_text("secret")
    sidecar = (
        f"xpu-xelink-sidecar --source=xpum --xpum-url={{xpum_url}} --cert={tmp_path}/ca.pem "
        f"--xpum-token-file={tmp_path}/token"
    )
    simulator = Simulator(
        directory,
        *("--sidecar", sidecar, "--xpum-tls", f"{tmp_path}/tls.crt", f"{tmp_path}/tls.key", "--xpum-token", "secret"),
        node="two-islands",
    )
    labels = root(simulator) / "features.d/xpum-sidecar-labels.txt"
    simulator.read_until("an XPU Manager serves https://127.0.0.1:")
    wait_for(labels, "gpu.intel.com/xe-links=0.0-1.0_0.0-2.0_0.0-3.0_0.1-1.1_0.1-2.1_0.1-3.1_1.0-2.0_1.0-3.0")
    simulator.process.terminate()
    assert simulator.finish() == 0, simulator.output


def test_files_for_tls_that_cannot_be_used_are_one_line(directory: Path) -> None:
    simulator = Simulator(directory, "--xpum-tls", "/no/cert", "/no/key")
    assert simulator.finish() == 2
    assert "--xpum-tls /no/cert /no/key" in simulator.errors
