"""The IAA program: what it has of its own, and the whole of it beside a kubelet."""

from pathlib import Path

import pytest

from handmade_idxd import HandmadeIdxd
from programs import program
from xpu_plugins.iaa.program import PROGRAM

DEDICATED = "iaa.intel.com/wq-user-dedicated"
KERNEL = "iaa.intel.com/wq-kernel-shared"


@pytest.fixture
def node(tmp_path: Path) -> HandmadeIdxd:
    return HandmadeIdxd(tmp_path / "node")


def roots(node: HandmadeIdxd) -> list[str]:
    return [f"--sysfs-root={node.sysfs}", f"--dev-root={node.dev}"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-shared-dev-num=0"], 1, "flag --shared-dev-num: expected an integer from 1 to 100000, found '0'"),
        (["-shared-dev-num=1e3"], 2, "flag --shared-dev-num: expected an integer from 1 to 100000, found '1e3'"),
        (["-driver=idxd"], 2, "unknown flag '-driver=idxd'; --help lists the flags"),
    ],
)
def test_a_command_line_that_cannot_be_used_is_one_line(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert PROGRAM.main(arguments) == code
    assert capsys.readouterr().err == f"xpu-iaa-plugin: {message}\n"


def test_discover_shows_only_iaa(node: HandmadeIdxd, capsys: pytest.CaptureFixture[str]) -> None:
    node.queue(node.device("dsa2"), "wq2.0")
    assert PROGRAM.main(["discover", *roots(node)]) == 0
    assert capsys.readouterr().out == "No IAA work queue is offered.\n"

    node.queue(node.device("iax3", bdf="0000:6a:02.0"), "wq3.0", minor=9)
    assert PROGRAM.main(["discover", *roots(node)]) == 0
    assert "wq-user-dedicated-wq3.0-0  Healthy  1     iax/wq3.0 char/511:9" in capsys.readouterr().out


async def test_a_pod_is_given_its_queue(node: HandmadeIdxd) -> None:
    device = node.device("iax3", bdf="0000:6a:02.0")
    node.queue(device, "wq3.0", minor=9)
    async with program("xpu_plugins.iaa", node.root, "--inject-env") as running:
        await running.kubelet.wait_for_list(DEDICATED, lambda listed: listed.allocatable == 1)
        pod = await running.kubelet.admit("zipper", {DEDICATED: 1})
        assert [given.container_path for given in pod.given.nodes] == ["/dev/iax/wq3.0", "/dev/char/511:9"]
        assert pod.given.envs == {
            "IAA_WQ0": "/dev/iax/wq3.0",
            "IAA_WQ0_NAME": "app",
            "IAA_WQ0_BDF": "0000:6a:02.0",
            "IAA_WQ0_NUMA": "1",
        }

        kernel = {"type": "kernel", "mode": "shared", "name": "iaa_crypto"}
        node.queue(device, "wq3.1", attributes=kernel, file=False, link=False)
        running.tell("bind", "dsa")
        await running.kubelet.wait_for_list(KERNEL, lambda listed: set(listed.devices) == {"wq-kernel-shared-wq3.1-0"})
        pod = await running.kubelet.admit("counter", {KERNEL: 1})
        assert (pod.given.nodes, dict(pod.given.envs)) == ((), {})
