"""The GPU plugin, a real kubelet, a real scheduler, real containers."""

import time

import pytest

from cluster.machine import (
    CDI,
    RESOURCE,
    SOCKETS,
    Cluster,
    PluginProcess,
    restart_containerd,
    wait_until,
    wipe_as_a_reboot_does,
)
from xpu_simulator.node import Gpu

OPENS_ITS_DEVICES = """
cd /dev/dri || exit 1
ls -1 . by-path
for file in card* renderD* by-path/*; do : < $file && echo opened $file; done
sleep 100000
"""


def logs(cluster: Cluster, pod: str) -> list[str]:
    return cluster.kubectl("logs", pod).splitlines()


def test_a_pod_opens_exactly_its_devices_by_path_links_included(cluster: Cluster, plugin: PluginProcess) -> None:
    cluster.run_pod("two", 2, OPENS_ITS_DEVICES)
    cluster.wait_for_phase("two", "Running")
    cards = sorted(int(id_.removeprefix("card").partition("-")[0]) for id_ in cluster.holders()["two"])
    addresses = [Gpu(card=card).pci_address for card in cards]

    expected = [f"opened card{card}" for card in cards]
    expected += [f"opened renderD{128 + card}" for card in cards]
    expected += [f"opened by-path/pci-{address}-{kind}" for address in addresses for kind in ("card", "render")]
    assert sorted(line for line in logs(cluster, "two") if line.startswith("opened")) == sorted(expected)


def test_a_pod_that_asks_for_too_many_waits_for_the_right_reason(cluster: Cluster, plugin: PluginProcess) -> None:
    cluster.run_pod("greedy", 5)

    def reason() -> str:
        conditions = cluster.pod("greedy")["status"].get("conditions", [])
        return next(
            (condition.get("message", "") for condition in conditions if condition["type"] == "PodScheduled"), ""
        )

    end = time.monotonic() + 20
    while f"Insufficient {RESOURCE}" not in reason() and time.monotonic() < end:
        time.sleep(0.1)
    assert f"Insufficient {RESOURCE}" in reason()
    assert cluster.pod("greedy")["status"]["phase"] == "Pending"


def test_hot_plug_shows_within_two_seconds_also_for_a_gpu_in_use(cluster: Cluster, plugin: PluginProcess) -> None:
    cluster.run_pod("user", 1)
    cluster.wait_for_phase("user", "Running")
    (held,) = cluster.holders()["user"]
    gpu = Gpu(card=int(held.removeprefix("card").partition("-")[0]), numa_node=0)

    plugin.remove(gpu)
    took = cluster.wait_for_gpus(capacity=4, allocatable=3, seconds=5)
    assert took < 2

    def told() -> object:
        (status,) = cluster.pod("user")["status"]["containerStatuses"]
        return status.get("allocatedResourcesStatus")

    end = time.monotonic() + 20
    expected = [{"name": RESOURCE, "resources": [{"health": "Unhealthy", "resourceID": held}]}]
    while told() != expected and time.monotonic() < end:
        time.sleep(0.1)
    assert told() == expected
    assert cluster.pod("user")["status"]["phase"] == "Running"

    plugin.add(gpu)
    assert cluster.wait_for_gpus(capacity=4, allocatable=4, seconds=5) < 2


def given_to_two(cluster: Cluster) -> set[str]:
    seen: set[str] = set()
    twice: set[str] = set()
    for ids in cluster.holders().values():
        twice |= seen & ids
        seen |= ids
    return twice


def test_the_worst_days_of_a_node_cost_no_pod_its_devices(cluster: Cluster, plugin: PluginProcess) -> None:
    for name, gpus in (("one", 1), ("two", 2)):
        cluster.run_pod(name, gpus)
        cluster.wait_for_phase(name, "Running")
    before = cluster.holders()

    def all_is_well(what: str) -> None:
        """Right at most two seconds after the plugin's return, and from then on."""
        assert cluster.last_wrong_count(capacity=4, allocatable=4, watched_seconds=3) < 2, what
        # a kubelet that has just started lists its pods as soon as it has heard of them
        wait_until(lambda: cluster.holders() == before, lambda: f"{what}: held {cluster.holders()}", seconds=30)
        for name in before:
            assert cluster.pod(name)["status"]["phase"] == "Running", what

    for number in range(10):
        with plugin.returns():
            cluster.kubelet("restart")
        all_is_well(f"kubelet restart {number}")
    with plugin.returns():
        cluster.kubelet("stop")
        time.sleep(30)
        cluster.kubelet("start")
    all_is_well("kubelet down for 30 s")

    restart_containerd()
    all_is_well("containerd restart")

    plugin.kill()
    plugin.start()
    all_is_well("plugin killed")
    plugin.stop()
    plugin.start()
    all_is_well("plugin restarted")

    cluster.kubelet("stop")
    plugin.kill()
    wipe_as_a_reboot_does((SOCKETS, CDI))
    cluster.kubelet("start")
    plugin.start()
    all_is_well("sockets and CDI files wiped")

    cluster.run_pod("last", 1)
    cluster.wait_for_phase("last", "Running")
    assert given_to_two(cluster) == set()


@pytest.mark.parametrize("mode", ["registry", "legacy"])
def test_both_ways_to_register_work_and_survive_a_restart(cluster: Cluster, plugin: PluginProcess, mode: str) -> None:
    plugin.stop()
    cluster.wait_for_gpus(capacity=4, allocatable=0)
    plugin.start(f"--registration={mode}")
    cluster.wait_for_gpus(capacity=4, allocatable=4)
    cluster.kubelet("restart")
    cluster.wait_for_gpus(capacity=4, allocatable=4)
    cluster.run_pod("user", 2)
    cluster.wait_for_phase("user", "Running")


def test_a_rolling_update_with_surge_leaves_no_gap(cluster: Cluster, plugin: PluginProcess) -> None:
    plugin.stop()
    old, new = PluginProcess(plugin.tree), PluginProcess(plugin.tree)
    old.start("--instance=old")
    cluster.wait_for_gpus(capacity=4, allocatable=4)
    new.start("--instance=new", "--uevent-socket=" + str(plugin.tree.root / "uevents-new"))
    time.sleep(2)  # the kubelet has its list
    old.stop()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        assert cluster.gpus() == (4, 4)
        time.sleep(0.1)
    new.stop()
