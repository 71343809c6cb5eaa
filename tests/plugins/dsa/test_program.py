"""The DSA program: its command line, and the whole of it beside a kubelet."""

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import grpc
import pytest

from handmade_idxd import HandmadeIdxd, write
from programs import may_mount, program
from web_pages import fetch, free_port
from xpu_plugins.dsa.program import PROGRAM, dsa_plugin
from xpu_plugins.dsa.settings import DsaSettings
from xpu_shared.plugin import PrefersDevices, PreparesAllocations, Warns, WatchesDirectories
from xpu_shared.program.settings import FamilySettings, flag_name

SHARED = "dsa.intel.com/wq-user-shared"
DEDICATED = "dsa.intel.com/wq-user-dedicated"


@pytest.fixture
def node(tmp_path: Path) -> HandmadeIdxd:
    return HandmadeIdxd(tmp_path / "node")


def roots(node: HandmadeIdxd) -> list[str]:
    return [f"--sysfs-root={node.sysfs}", f"--dev-root={node.dev}"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-shared-dev-num=0"], 1, "flag --shared-dev-num: expected an integer from 1 to 100000, found '0'"),
        (["-shared-dev-num", "-1"], 1, "flag --shared-dev-num: expected an integer from 1 to 100000, found '-1'"),
        (["-shared-dev-num=100001"], 1, "flag --shared-dev-num: expected an integer from 1 to 100000, found '100001'"),
        (["-shared-dev-num=ten"], 2, "flag --shared-dev-num: expected an integer from 1 to 100000, found 'ten'"),
        (["-driver=igb_uio"], 1, "flag --driver: expected one of idxd, vfio-pci, found 'igb_uio'"),
        (["--preferred=all"], 2, "flag --preferred: expected one of none, pack, spread, found 'all'"),
        (["provision"], 2, "unexpected argument 'provision': expected discover"),
    ],
)
def test_a_command_line_that_cannot_be_used_is_one_line(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert PROGRAM.main(arguments) == code
    assert capsys.readouterr().err == f"xpu-dsa-plugin: {message}\n"


def test_the_same_holds_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "dsa.yaml"
    config.write_text("shared-dev-num: 0\n")

    assert PROGRAM.main([f"--config={config}"]) == 1
    assert "dsa.yaml:1: shared-dev-num: expected an integer from 1 to 100000, found 0" in capsys.readouterr().err


def test_so_many_shares_that_they_are_hardly_meant_are_warned_of() -> None:
    def warnings(settings: DsaSettings) -> list[str]:
        plugin = dsa_plugin(settings)
        assert isinstance(plugin, Warns)
        return list(plugin.warnings)

    assert warnings(DsaSettings(shared_dev_num=1000)) == []
    assert warnings(DsaSettings(shared_dev_num=1001)) == [
        "--shared-dev-num=1001: so many containers to one queue are rarely meant"
    ]
    assert warnings(DsaSettings(driver="vfio-pci")) == []
    assert warnings(DsaSettings(driver="vfio-pci", shared_dev_num=2)) == [
        "--shared-dev-num=2 has no effect with --driver=vfio-pci"
    ]


def test_preferences_are_told_only_when_there_are_some() -> None:
    plain, packing = dsa_plugin(DsaSettings()), dsa_plugin(DsaSettings(preferred="pack"))

    assert not isinstance(plain, PrefersDevices)
    assert isinstance(packing, PrefersDevices)
    for plugin in (plain, packing):
        assert isinstance(plugin, WatchesDirectories)
        assert isinstance(plugin, PreparesAllocations)
        assert list(plugin.watched_directories) == [Path("/dev/dsa"), Path("/dev/char")]
        assert plugin.subsystems == {"dsa", "pci"}


def test_preferences_know_the_devices_of_the_last_scan(node: HandmadeIdxd) -> None:
    for number, bdf in ((0, "0000:6a:01.0"), (2, "0000:e7:01.0")):
        device = node.device(f"dsa{number}", bdf=bdf)
        for queue in range(2):
            node.queue(device, f"wq{number}.{queue}", minor=4 * number + queue)
    settings = {"sysfs_root": node.sysfs, "dev_root": node.dev}
    free = [f"wq-user-dedicated-wq{device}.{queue}-0" for device in (0, 2) for queue in (0, 1)]

    for policy, expected in (("pack", [free[0], free[1]]), ("spread", [free[0], free[2]])):
        plugin = dsa_plugin(DsaSettings(**settings, preferred=policy))  # type: ignore[arg-type]
        plugin.scan()
        assert isinstance(plugin, PrefersDevices)
        assert list(plugin.prefer("wq-user-dedicated", free, [], 2)) == expected


def test_discover_says_what_is_offered_and_why_other_queues_are_not(
    node: HandmadeIdxd, capsys: pytest.CaptureFixture[str]
) -> None:
    device = node.device("dsa2")
    node.queue(device, "wq2.0", attributes={"mode": "shared"})
    node.queue(device, "wq2.1", attributes={"state": "disabled"}, file=False, link=False)

    assert PROGRAM.main(["discover", *roots(node), "-shared-dev-num=4"]) == 0
    table = capsys.readouterr().out.splitlines()
    assert PROGRAM.main(["discover", *roots(node), "--output=json"]) == 0
    printed = json.loads(capsys.readouterr().out)

    cells = [cell.strip() for cell in table[1].split("  ") if cell]
    files = "dsa/wq2.0 char/511:4"
    assert cells == [SHARED, "wq-user-shared-wq2.0-0 .. wq-user-shared-wq2.0-3", "Healthy", "1", files]
    assert table[-1].split("  ") == ["wq2.1", "its state is disabled"] or "its state is disabled" in table[-1]
    assert printed["resources"][0]["devices"][0]["id"] == "wq-user-shared-wq2.0-0"
    assert printed["rejected"] == [{"subject": "wq2.1", "reason": "its state is disabled", "expected": True}]


def test_every_flag_of_its_own_is_on_the_page() -> None:
    page = (Path(__file__).parents[3] / "docs/dsa-iaa.md").read_text()
    own = {field.name for field in fields(DsaSettings)} - {field.name for field in fields(FamilySettings)}

    assert own
    assert [name for name in own if f"| `--{flag_name(name)}" not in page] == []


def test_discover_without_anything_is_no_error(node: HandmadeIdxd, capsys: pytest.CaptureFixture[str]) -> None:
    assert PROGRAM.main(["discover", *roots(node)]) == 0
    assert capsys.readouterr().out == "No DSA work queue or device is offered.\n"


async def test_a_pod_is_given_its_queues_as_they_come_and_go(node: HandmadeIdxd) -> None:
    device = node.device("dsa2")
    node.queue(device, "wq2.0")
    async with program("xpu_plugins.dsa", node.root, "-shared-dev-num", "3", "--inject-env") as running:
        listed = await running.wait_for(DEDICATED, 1)
        assert set(listed.devices) == {"wq-user-dedicated-wq2.0-0"}
        assert SHARED not in running.kubelet.resources

        queue = node.queue(device, "wq2.1", minor=5, attributes={"mode": "shared"})
        running.tell("bind", "dsa")
        await running.wait_for(SHARED, 3)
        pod = await running.kubelet.admit("copier", {SHARED: 2})
        assert [(given.host_path, given.container_path, given.permissions) for given in pod.given.nodes] == [
            ("/dev/dsa/wq2.1", "/dev/dsa/wq2.1", "rw"),
            ("/dev/char/511:5", "/dev/char/511:5", "rw"),
        ]
        assert pod.given.envs["DSA_WQ0"] == "/dev/dsa/wq2.1"
        assert await running.can(SHARED) == (False, False)

        write(queue, {"state": "disabled"})
        running.tell("unbind", "dsa")
        await running.wait_for(SHARED, 0, listed=3)
        assert running.kubelet.resources[DEDICATED].allocatable == 1
        with pytest.raises(grpc.aio.AioRpcError, match="its state is disabled"):
            await running.allocate(SHARED, ["wq-user-shared-wq2.1-0"])


async def test_its_metrics_page_tells_of_devices_and_queues(node: HandmadeIdxd) -> None:
    node.queue(node.device("dsa2"), "wq2.0", attributes={"clients": "3"})
    port = free_port()
    async with program("xpu_plugins.dsa", node.root, f"--metrics-address=127.0.0.1:{port}") as running:
        await running.wait_for(DEDICATED, 1)
        status, text = await fetch(port, "/metrics")

    assert status == 200
    assert 'idxd_wq_clients{device="dsa2",numa_node="1",pci_bdf="0000:6a:01.0",wq="wq2.0"} 3.0' in text
    assert 'idxd_device_state{device="dsa2",numa_node="1",pci_bdf="0000:6a:01.0",state="enabled"} 1.0' in text


async def test_preferences_are_announced_when_they_are_asked_for(node: HandmadeIdxd) -> None:
    node.queue(node.device("dsa2"), "wq2.0")
    async with program("xpu_plugins.dsa", node.root, "--preferred=pack") as running:
        await running.wait_for(DEDICATED, 1)
        assert await running.can(DEDICATED) == (True, False)


async def test_a_file_that_comes_without_an_event_is_noticed(node: HandmadeIdxd) -> None:
    node.queue(node.device("dsa2"), "wq2.0")
    async with program("xpu_plugins.dsa", node.root) as running:
        await running.wait_for(DEDICATED, 1)
        (node.dev / "dsa/wq2.0").unlink()
        await running.wait_for(DEDICATED, 0, listed=1)
        node.file("dsa/wq2.0")
        await running.wait_for(DEDICATED, 1)


async def test_without_an_enabled_queue_it_says_what_there_is(node: HandmadeIdxd) -> None:
    node.queue(node.device("dsa2"), "wq2.0", attributes={"state": "disabled"}, file=False, link=False)
    async with program("xpu_plugins.dsa", node.root) as running:
        line = await running.says("no enabled queues")

    assert line.startswith("I")
    assert line.endswith('plugin="dsa.intel.com" devices=1 disabled_queues=1\n')


@pytest.mark.skipif(not may_mount(), reason="mounts need root")
async def test_it_runs_unmodified_where_a_tree_is_mounted_over_sys_and_dev(tmp_path: Path) -> None:
    node = HandmadeIdxd(tmp_path / "real", real=True)
    node.queue(node.device("dsa2"), "wq2.0")
    async with program("xpu_plugins.dsa", node.root, default_roots=True) as running:
        await running.wait_for(DEDICATED, 1)
        pod = await running.kubelet.admit("copier", {DEDICATED: 1})

    assert [given.host_path for given in pod.given.nodes] == ["/dev/dsa/wq2.0", "/dev/char/511:4"]


def test_the_module_runs_and_discover_needs_no_grpc(node: HandmadeIdxd) -> None:
    node.queue(node.device("dsa2"), "wq2.0")
    code = "import sys; from xpu_plugins.dsa.__main__ import main; main(sys.argv[1:]); print('grpc' in sys.modules)"

    as_module = subprocess.run(
        [sys.executable, "-m", "xpu_plugins.dsa", "discover", *roots(node)], capture_output=True, text=True, check=True
    )
    in_code = subprocess.run(
        [sys.executable, "-c", code, "discover", *roots(node)], capture_output=True, text=True, check=True
    )

    assert DEDICATED in as_module.stdout
    assert in_code.stdout.endswith("False\n")
