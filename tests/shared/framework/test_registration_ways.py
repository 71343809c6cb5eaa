"""`--registration` and `--instance` from end to end: the framework beside kubelets of both kinds.

Up to 1.36 a kubelet keeps one connection of a resource, from 1.37 on one of each socket.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from framework import RESOURCE, DemoPlugin, running
from xpu_shared.sockets import identity
from xpu_simulator.kubelet.events import Deregistration, Event, StreamEnded
from xpu_simulator.kubelet.resources import Resource
from xpu_simulator.kubelet.simulated import SimulatedKubelet

SOCKET = "demo.intel.com-unit.sock"
VERSIONS = pytest.mark.parametrize("version", ["1.36", "1.37"])
WAYS = pytest.mark.parametrize("way", ["legacy", "registry", "both"])


@pytest.fixture
def root() -> Generator[Path]:
    """pytest's own directories are too long for the sockets in plugins_registry."""
    with tempfile.TemporaryDirectory(prefix="xr-", dir="/tmp") as path:
        yield Path(path)


def full(listed: Resource) -> bool:
    return listed.allocatable == 2


def gone(listed: Resource) -> bool:
    return listed.allocatable == 0


def registrations(kubelet: SimulatedKubelet, way: str) -> int:
    return sum(event.registry == (way == "registry") for event in kubelet.registrations)


async def registered(kubelet: SimulatedKubelet, way: str, times: int = 1) -> None:
    """Wait until a plugin has registered so many times in each of its ways, and its list is there."""
    for each in ("legacy", "registry") if way == "both" else (way,):
        await kubelet.wait_until(lambda each=each: registrations(kubelet, each) >= times, what=each)  # type: ignore[misc]
    await kubelet.wait_for_list(RESOURCE, full)


@asynccontextmanager
async def node(root: Path, version: str, *, registration: str) -> AsyncGenerator[SimulatedKubelet]:
    """A plugin beside a kubelet."""
    kubelet = SimulatedKubelet(root, version=version)
    async with kubelet, running(root, DemoPlugin(), kubelet=kubelet, registration=registration):
        yield kubelet


@VERSIONS
@WAYS
async def test_each_way_leads_to_devices_that_pods_get(root: Path, version: str, way: str) -> None:
    async with node(root, version, registration=way) as kubelet:
        await registered(kubelet, way)
        pod = await kubelet.admit("pod", {RESOURCE: 2})
        assert pod.running
    assert kubelet.resources[RESOURCE].allocatable == 0
    assert all(not event.error for event in kubelet.registrations)


@VERSIONS
@WAYS
async def test_each_way_survives_restarts_of_the_kubelet(root: Path, version: str, way: str) -> None:
    async with node(root, version, registration=way) as kubelet:
        for times in (1, 2, 3):
            await registered(kubelet, way, times)
            await kubelet.restart()
        await registered(kubelet, way, 4)
        assert all(not event.error for event in kubelet.registrations)


@VERSIONS
async def test_in_the_registry_a_restart_of_the_kubelet_needs_nothing_from_the_plugin(root: Path, version: str) -> None:
    async with node(root, version, registration="registry") as kubelet:
        await registered(kubelet, "registry")
        before = identity(kubelet.plugins_registry / SOCKET)
        await kubelet.restart()
        await registered(kubelet, "registry", 2)
        assert identity(kubelet.plugins_registry / SOCKET) == before
        assert not (kubelet.device_plugins / SOCKET).exists()


@VERSIONS
async def test_a_socket_that_is_removed_from_the_registry_comes_back(root: Path, version: str) -> None:
    async with node(root, version, registration="registry") as kubelet:
        await registered(kubelet, "registry")
        (kubelet.plugins_registry / SOCKET).unlink()
        await registered(kubelet, "registry", 2)


async def test_with_both_the_end_of_one_costs_nothing_in_1_37(root: Path) -> None:
    async with node(root, "1.37", registration="both") as kubelet:
        await registered(kubelet, "both")
        counts: list[int] = []
        ends: list[Event] = []

        def see(event: Event) -> None:
            counts.append(kubelet.resources[RESOURCE].allocatable)
            ends.extend([event] if isinstance(event, StreamEnded | Deregistration) else [])

        kubelet.events.subscribe(see)
        (kubelet.plugins_registry / SOCKET).unlink()
        await registered(kubelet, "registry", 2)
        (kubelet.device_plugins / SOCKET).unlink()
        await registered(kubelet, "legacy", 2)

        assert len(ends) >= 2
        assert set(counts) == {2}


async def test_with_both_the_end_of_one_loses_the_resource_in_1_36_until_it_is_registered_again(root: Path) -> None:
    """What the warning at the start and the documentation say."""
    async with node(root, "1.36", registration="both") as kubelet:
        await registered(kubelet, "both")
        counts: list[int] = []
        kubelet.events.subscribe(lambda _: counts.append(kubelet.resources[RESOURCE].allocatable))
        (kubelet.plugins_registry / SOCKET).unlink()
        await kubelet.wait_for_list(RESOURCE, gone)
        await kubelet.wait_for_list(RESOURCE, full)
        assert 0 in counts


@asynccontextmanager
async def update_with_surge(root: Path, version: str, way: str) -> AsyncGenerator[tuple[SimulatedKubelet, list[int]]]:
    """A new instance is started beside the old one, which then ends; what was allocatable all the while."""
    kubelet, counts = SimulatedKubelet(root, version=version), list[int]()
    async with kubelet, AsyncExitStack() as new:
        async with running(root, DemoPlugin(), kubelet=kubelet, registration=way, instance="old"):
            await registered(kubelet, way)
            kubelet.events.subscribe(lambda _: counts.append(kubelet.resources[RESOURCE].allocatable))
            await new.enter_async_context(
                running(
                    root, DemoPlugin(), kubelet=kubelet, registration=way, instance="new", uevent_socket=root / "u2"
                )
            )
            await registered(kubelet, way, 2)
            await kubelet.wait_for_list(RESOURCE, lambda listed: listed.lists >= (4 if way == "both" else 2))
        yield kubelet, counts


@WAYS
async def test_an_update_with_surge_leaves_no_gap_in_1_37(root: Path, way: str) -> None:
    async with update_with_surge(root, "1.37", way) as (kubelet, counts):
        assert (await kubelet.admit("pod", {RESOURCE: 2})).running
        assert set(counts) == {2}
    directory = kubelet.plugins_registry if way == "registry" else kubelet.device_plugins
    assert not list(directory.glob("demo*"))


@WAYS
async def test_an_update_with_surge_has_a_gap_in_1_36_and_ends_well(root: Path, way: str) -> None:
    """The end of the old instance disconnects the new one, which notices that nobody listens any more."""
    async with update_with_surge(root, "1.36", way) as (kubelet, counts):
        await kubelet.wait_until(lambda: 0 in counts, what="the gap")
        await kubelet.wait_for_list(RESOURCE, full)
        assert (await kubelet.admit("pod", {RESOURCE: 2})).running


@pytest.mark.parametrize(
    ("flag", "warning"),
    [("--registration=both", "a kubelet up to 1.36 takes the two"), ("--instance=a", "a kubelet up to 1.36 loses")],
)
async def test_what_may_break_is_said_when_the_plugin_starts(root: Path, flag: str, warning: str) -> None:
    (root / "sys/class/drm").mkdir(parents=True)
    places = {"sysfs-root": "sys", "kubelet-dir": "kubelet", "cdi-dir": "cdi"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "xpu_plugins.gpu", flag),
        *(f"--{name}={root / place}" for name, place in places.items()),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr
    async with asyncio.timeout(20):
        while line := await process.stderr.readline():
            if warning in line.decode():
                break
    process.terminate()
    await process.communicate()
    assert warning in line.decode()
