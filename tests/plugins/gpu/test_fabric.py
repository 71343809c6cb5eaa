"""The topology policy in the plugin: places from sysfs, links from a sidecar, what containers are told of them."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fabric_examples import RATE, fabric, islands, link, mesh, publishing
from framework import Node, running
from telemetry_examples import envelope
from telemetry_transport import until
from xpu_plugins.gpu.__main__ import main
from xpu_plugins.gpu.card import root_port
from xpu_plugins.gpu.environment import link_environment
from xpu_plugins.gpu.fabric import CardLink, GpuFabric, bandwidth
from xpu_plugins.gpu.judged import JudgedGpuPlugin
from xpu_plugins.gpu.program import PROGRAM, plugin
from xpu_plugins.gpu.settings import GpuSettings
from xpu_shared.policy.topology import Place
from xpu_shared.program.flags import UsageError
from xpu_shared.telemetry.freshness import News
from xpu_shared.telemetry.readings import Message
from xpu_shared.telemetry.topology import Link, TopologySnapshot, TopologyState
from xpu_simulator.node import Gpu
from xpu_simulator.tree import SimulatedTree

I915 = "gpu.intel.com/i915"
CARDS = [Gpu(card=card, numa_node=card // 4) for card in range(8)]
ADDRESSES = [card.pci_address for card in CARDS]
IDS = [f"card{card}-0" for card in range(8)]
CARD_OF = {f"card{number}": address for number, address in enumerate(ADDRESSES)}
EVEN, ODD = ADDRESSES[::2], ADDRESSES[1::2]


@pytest.fixture
def tree(tmp_path: Path) -> SimulatedTree:
    tree = SimulatedTree(tmp_path / "tree", device_nodes=False)
    for card in CARDS:
        tree.add_gpu(card)
    return tree


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/run/xelink.sock"


def settings(tree: SimulatedTree, endpoint: str, **choices: object) -> GpuSettings:
    values: Mapping[str, object] = {
        "sysfs_root": tree.sysfs,
        "dev_root": tree.dev,
        "telemetry": (endpoint,),
        "allocation_policy": "topology",
        **choices,
    }
    return GpuSettings(**values)  # type: ignore[arg-type]  # tests name any of its fields


@asynccontextmanager
async def plugin_with(
    tree: SimulatedTree, tmp_path: Path, endpoint: str, **choices: object
) -> AsyncIterator[tuple[Node, JudgedGpuPlugin]]:
    plugin = JudgedGpuPlugin(settings(tree, endpoint, **choices))
    async with running(tmp_path, plugin) as node:
        await node.kubelet.wait_for_list(I915, lambda listed: listed.allocatable == 8)
        yield node, plugin


def news(*links: Link, expires_in: float = 3.0, state: TopologyState = TopologyState.OK) -> News[TopologySnapshot]:
    snapshot = TopologySnapshot(state=state, links=links)
    message = Message(**{**{f: getattr(envelope(), f) for f in HEADER}, "payload": snapshot, "validity": expires_in})
    return News(envelope=message, made_at=0.0)


HEADER = ("source", "node", "boot_id", "start_sequence", "sequence", "wall_time", "monotonic_time")


async def test_a_pod_gets_the_gpus_of_an_island(tree: SimulatedTree, tmp_path: Path, endpoint: str) -> None:
    async with plugin_with(tree, tmp_path, endpoint) as (node, plugin):
        with publishing(endpoint) as publisher:
            publisher.publish(fabric(ADDRESSES, islands([*EVEN, *ODD], 4)))
            await until(lambda: plugin.details_complete)
            first = await node.kubelet.admit("first", {I915: 4})
            second = await node.kubelet.admit("second", {I915: 4})

    assert sorted(first.devices[I915]) == IDS[::2]
    assert sorted(second.devices[I915]) == IDS[1::2]
    assert first.given.envs["XPU_GPU_PCI_ADDRESSES"] == ",".join(EVEN)
    assert first.given.envs["XPU_GPU_LINKS"] == "0.0-1.0:8,0.0-2.0:8,0.0-3.0:8,1.0-2.0:8,1.0-3.0:8,2.0-3.0:8"
    assert first.given.envs["XPU_GPU_LINK_BITS_PER_SECOND"] == ",".join([str(8 * RATE)] * 6)


async def test_a_broken_link_changes_the_next_choice(tree: SimulatedTree, tmp_path: Path, endpoint: str) -> None:
    links = [link(ADDRESSES[0], ADDRESSES[1]), link(ADDRESSES[2], ADDRESSES[3], 4)]
    async with plugin_with(tree, tmp_path, endpoint) as (_, plugin):
        with publishing(endpoint) as publisher:
            publisher.publish(fabric(ADDRESSES, links))
            await until(lambda: plugin.details_complete)
            assert plugin.prefer("i915", IDS, [], 2) == ("card0-0", "card1-0")

            publisher.publish(fabric(ADDRESSES, links[1:]))
            await until(lambda: plugin.prefer("i915", IDS, [], 2) == ("card2-0", "card3-0"))


async def test_without_inject_env_containers_are_told_nothing(
    tree: SimulatedTree, tmp_path: Path, endpoint: str
) -> None:
    async with plugin_with(tree, tmp_path, endpoint, inject_env=False) as (node, plugin):
        with publishing(endpoint) as publisher:
            publisher.publish(fabric(ADDRESSES, mesh(ADDRESSES)))
            await until(lambda: plugin.details_complete)
            pod = await node.kubelet.admit("pod", {I915: 4})

    assert not [name for name in pod.given.envs if name.startswith("XPU_GPU")]


async def test_without_a_sidecar_nearness_decides(tree: SimulatedTree, tmp_path: Path, endpoint: str) -> None:
    async with plugin_with(tree, tmp_path, endpoint) as (node, _):
        await node.kubelet.admit("first", {I915: 1})
        pod = await node.kubelet.admit("second", {I915: 4})

    assert sorted(pod.devices[I915]) == IDS[4:]  # all near one NUMA node
    assert "XPU_GPU_LINKS" not in pod.given.envs


def test_links_count_as_long_as_their_snapshot_is_valid() -> None:
    known = GpuFabric()
    known.scanned({card: Place() for card in CARD_OF}, CARD_OF)
    known.take(news(link(ADDRESSES[6], ADDRESSES[7])))

    assert known.policy(3.0)(IDS, [], 2) == ("card6-0", "card7-0")
    assert known.policy(3.1)(IDS, [], 2) == ("card0-0", "card1-0")
    assert known.links(["card6", "card7"], 3.1) is None
    assert known.links_of("card6", 3.1) is None


def test_a_snapshot_that_knows_nothing_leaves_what_was_known() -> None:
    known = GpuFabric()
    known.scanned({card: Place() for card in CARD_OF}, CARD_OF)
    known.take(news(link(ADDRESSES[6], ADDRESSES[7])))
    known.take(news(expires_in=100.0, state=TopologyState.UNKNOWN))

    assert known.policy(3.0)(IDS, [], 2) == ("card6-0", "card7-0")
    assert known.links_of("card6", 3.1) is None


def test_cards_that_are_scanned_after_the_snapshot_have_its_links() -> None:
    known = GpuFabric()
    known.take(news(link(ADDRESSES[6], ADDRESSES[7]), link(ADDRESSES[5], "0000:ff:00.0")))
    known.scanned({card: Place() for card in CARD_OF}, CARD_OF)

    assert known.links_of("card7", 1.0) == {"card6": 8}
    assert known.links_of("card5", 1.0) == {}
    known.scanned({"card0": Place()}, {"card0": ADDRESSES[0]})
    assert known.links_of("card7", 1.0) == {}


def test_links_within_a_card_join_nothing() -> None:
    known = GpuFabric()
    known.scanned({}, CARD_OF)
    known.take(news(link(ADDRESSES[0], ADDRESSES[0], other_tile=1)))

    assert known.links(["card0"], 1.0) == []


def card_link(card: int, other: int, lanes: int, rate: int | None) -> CardLink:
    return CardLink(card=f"card{card}", tile=0, other=f"card{other}", other_tile=1, lanes=lanes, bits_per_second=rate)


def test_bandwidth_is_lanes_times_rate_and_lanes_alone_when_a_rate_is_not_known() -> None:
    links = [card_link(0, 1, 4, 10), card_link(0, 1, 2, 20), card_link(2, 3, 8, 10)]
    assert bandwidth(links) == {("card0", "card1"): 80, ("card2", "card3"): 80}
    assert bandwidth([*links, card_link(4, 5, 3, None)]) == {
        ("card0", "card1"): 6,
        ("card2", "card3"): 8,
        ("card4", "card5"): 3,
    }


def test_what_a_container_is_told_of_links() -> None:
    links = [card_link(2, 10, 4, 10), card_link(2, 11, 8, None)]
    addresses = {"card2": "a", "card10": "b"}

    assert link_environment(["card2", "card10", "card11"], addresses, links) == {
        "XPU_GPU_PCI_ADDRESSES": "a,b,",
        "XPU_GPU_LINKS": "0.0-1.1:4,0.0-2.1:8",
        "XPU_GPU_LINK_BITS_PER_SECOND": "40,",
    }
    assert link_environment(["card2", "card10"], addresses, []) == {
        "XPU_GPU_PCI_ADDRESSES": "a,b",
        "XPU_GPU_LINKS": "",
    }
    assert link_environment(["card2", "card10"], addresses, None) == {}
    assert link_environment(["card2"], addresses, []) == {}


@pytest.mark.parametrize(
    ("target", "port"),
    [
        ("../../devices/pci0000:3a/0000:3a:02.0/0000:3b:00.0/0000:3c:01.0/0000:3d:00.0/drm/card0", "0000:3a:02.0"),
        ("../../devices/pci10000:00/0000:3a:02.0/0000:3b:00.0/drm/card0", "0000:3a:02.0"),
        ("../../devices/pci0000:00/0000:00:02.0/drm/card0", None),
        ("../../devices/platform/x/0000:00:02.0/drm/card0", None),
        ("../../devices/pci0000:00/x/0000:00:02.0/drm/card0", None),
        ("../../devices/pci0000:3a/0000:3a:02.0/0000:3b:00.0/drm/card1", None),
        ("card0", None),
    ],
)
def test_the_root_port_is_in_the_card_s_path(tmp_path: Path, target: str, port: str | None) -> None:
    (tmp_path / "card0").symlink_to(target)
    assert root_port(f"{tmp_path}/card0") == port


def test_a_card_that_is_no_link_has_no_root_port(tmp_path: Path) -> None:
    assert root_port(f"{tmp_path}/card0") is None


def test_discover_tells_root_ports_and_links(
    tree: SimulatedTree, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [f"-prefix={tree.root}", "-allocation-policy=topology", "--health-management=false"]
    assert main(["discover", *flags, "--output=json", f"--telemetry={endpoint}"]) == 0
    devices = json.loads(capsys.readouterr().out)["resources"][0]["devices"]
    assert [device["details"] for device in devices[:2]] == [
        {"root port": "0000:10:01.0", "links": "not known"},
        {"root port": "0000:20:01.0", "links": "not known"},
    ]
    assert main(["discover", *flags, f"--telemetry={endpoint}"]) == 0
    header, first, *_ = capsys.readouterr().out.splitlines()
    assert "ROOT PORT" in header
    assert "LINKS" in header
    assert "0000:10:01.0" in first


def test_links_have_columns_only_with_their_policy(tree: SimulatedTree, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["discover", f"-prefix={tree.root}"]) == 0
    assert "ROOT PORT" not in capsys.readouterr().out


def test_the_sidecar_s_usual_place_is_used_when_none_is_given() -> None:
    loaded = PROGRAM.settings(PROGRAM.load(["-allocation-policy=topology"]))

    assert loaded.fabric_endpoints == ("ipc:///run/xpu/xelink.sock",)
    assert loaded.endpoints == ()
    assert not loaded.health_management
    assert isinstance(plugin(loaded), JudgedGpuPlugin)
    assert PROGRAM.load(["-allocation-policy=packed"]).settings.fabric_endpoints == ()


def test_there_are_no_links_within_wsl() -> None:
    with pytest.raises(UsageError, match="--wsl and --allocation-policy=topology"):
        PROGRAM.load(["-wsl", "-allocation-policy=topology"])
