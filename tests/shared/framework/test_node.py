"""The framework against a simulated kubelet, over real sockets: start, lists, restarts, end."""

import asyncio
import inspect
import shutil
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from framework import QUICK, RESOURCE, DemoPlugin, running, unit, usage
from xpu_shared.device import Allocation, Device, Health, ScanResult
from xpu_shared.kernel.uevents import Uevent
from xpu_shared.kubelet.registration import Timings
from xpu_shared.program.logs import fields_of
from xpu_simulator.kubelet.resources import Resource
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_wire import deviceplugin_v1beta1_pb2 as pb
from xpu_wire.deviceplugin_v1beta1_pb2_grpc import DevicePluginStub

SOCKET = "demo.intel.com-unit.sock"


def full(listed: Resource) -> bool:
    return listed.allocatable == 2


async def test_the_first_list_is_complete(tmp_path: Path) -> None:
    async with running(tmp_path, DemoPlugin()) as node:
        await node.kubelet.wait_for_list(RESOURCE)

        assert [(list(event.healthy), list(event.unhealthy)) for event in node.lists] == [(["unit0", "unit1"], [])]
        assert node.sockets == {SOCKET}


async def test_nothing_is_registered_before_the_first_scan_is_complete(tmp_path: Path) -> None:
    scanning, release = threading.Event(), threading.Event()

    class Slow(DemoPlugin):
        def scan(self) -> ScanResult:
            scanning.set()
            release.wait(10)
            return super().scan()

    async with running(tmp_path, Slow()) as node:
        await asyncio.to_thread(scanning.wait, 5)
        assert node.sockets == set()
        release.set()
        await node.kubelet.wait_for_list(RESOURCE, full)


async def test_without_devices_nothing_is_registered_until_one_appears(tmp_path: Path) -> None:
    plugin = DemoPlugin(devices={})
    async with running(tmp_path, plugin) as node:
        await plugin.scanned(1)
        assert not node.kubelet.registrations

        plugin.devices = {"unit": [unit("unit0")]}
        node.uevent()
        await node.kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 1)


async def test_a_change_reaches_every_stream_and_a_cancelled_one_costs_only_itself(tmp_path: Path) -> None:
    plugin = DemoPlugin()
    async with running(tmp_path, plugin) as node:
        await node.kubelet.wait_for_list(RESOURCE, full)
        async with grpc.aio.insecure_channel(f"unix:{node.kubelet.device_plugins / SOCKET}") as channel:
            streams = [DevicePluginStub(channel).ListAndWatch(pb.Empty()) for _ in range(5)]
            for stream in streams:
                assert len((await listed(stream)).devices) == 2
            streams[0].cancel()

            plugin.devices = {"unit": [unit("unit0"), unit("unit1", health=Health.UNHEALTHY)]}
            node.uevent()

            for stream in streams[1:]:
                health = [device.health for device in (await listed(stream)).devices]
                assert health == ["Healthy", "Unhealthy"]
            await node.kubelet.wait_for_list(RESOURCE, lambda listed: (listed.allocatable, listed.capacity) == (1, 2))


async def test_a_scan_that_finds_the_same_sends_nothing(tmp_path: Path) -> None:
    plugin = DemoPlugin()
    async with running(tmp_path, plugin) as node:
        await node.kubelet.wait_for_list(RESOURCE, full)
        before = plugin.scans
        node.uevent()
        await plugin.scanned(before + 4)  # the event's scan and all later looks

        assert node.kubelet.resources[RESOURCE].lists == 1


async def test_a_slow_reader_gets_the_newest_list_and_holds_nobody_up(tmp_path: Path) -> None:
    plugin = DemoPlugin()
    async with running(tmp_path, plugin) as node:
        await node.kubelet.wait_for_list(RESOURCE, full)
        node.kubelet.pause_reading(RESOURCE)
        for count in range(3, 10):
            plugin.devices = {"unit": [unit(f"unit{number}") for number in range(count)]}
            before = plugin.scans
            node.uevent()
            await plugin.scanned(before + 1)
        node.kubelet.resume_reading(RESOURCE)

        await node.kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 9)


async def test_a_vanished_device_is_unhealthy_and_back_when_it_is_back(tmp_path: Path) -> None:
    plugin = DemoPlugin()
    async with running(tmp_path, plugin) as node:
        await node.kubelet.wait_for_list(RESOURCE, full)
        plugin.devices = {"unit": [unit("unit1")]}
        node.uevent()
        await node.kubelet.wait_for_list(RESOURCE, lambda listed: (listed.allocatable, listed.capacity) == (1, 2))

        plugin.devices = {"unit": [unit("unit0"), unit("unit1")]}
        node.uevent()
        await node.kubelet.wait_for_list(RESOURCE, full)


async def test_when_the_last_device_goes_the_resource_stays_with_an_empty_list(tmp_path: Path) -> None:
    plugin = DemoPlugin()
    async with running(tmp_path, plugin, lost_device_retention=0.0) as node:
        await node.kubelet.wait_for_list(RESOURCE, full)
        plugin.devices = {}
        node.uevent()
        await node.kubelet.wait_for_list(RESOURCE, lambda listed: listed.capacity == 0)

        assert node.kubelet.resources[RESOURCE].registered
        plugin.devices = {"unit": [unit("unit0"), unit("unit1")]}
        node.uevent()
        await node.kubelet.wait_for_list(RESOURCE, full)
        assert len(node.kubelet.registrations) == 1


async def test_ids_that_only_count_leave_at_once_unless_a_container_holds_them(tmp_path: Path) -> None:
    class Counting(DemoPlugin):
        ids_only_count = True

    plugin = Counting()
    async with running(tmp_path, plugin, lost_device_retention=600.0) as node:
        await node.kubelet.wait_for_list(RESOURCE, full)
        plugin.devices = {}
        node.uevent()
        await node.kubelet.wait_for_list(RESOURCE, lambda listed: listed.capacity == 0)

        plugin.devices = {"unit": [unit("unit0"), unit("unit1")]}
        node.uevent()
        await node.kubelet.wait_for_list(RESOURCE, full)
        await node.kubelet.admit("train", {RESOURCE: 1})
        plugin.devices = {}
        node.uevent()
        await node.kubelet.wait_for_list(RESOURCE, lambda listed: (listed.allocatable, listed.capacity) == (0, 1))


async def test_a_tombstone_runs_out_by_itself(tmp_path: Path) -> None:
    plugin = DemoPlugin()
    async with running(tmp_path, plugin, lost_device_retention=0.3) as node:
        await node.kubelet.wait_for_list(RESOURCE, full)
        plugin.devices = {"unit": [unit("unit0")]}
        node.uevent()
        await node.kubelet.wait_for_list(RESOURCE, lambda listed: (listed.allocatable, listed.capacity) == (1, 2))
        await node.kubelet.wait_for_list(RESOURCE, lambda listed: listed.capacity == 1)


async def test_a_scan_may_ask_for_the_next_one(tmp_path: Path) -> None:
    class Impatient(DemoPlugin):
        def scan(self) -> ScanResult:
            return replace(super().scan(), scan_again_in=0.05)

    plugin = Impatient()
    async with running(tmp_path, plugin, rescan_interval=86400.0):
        await plugin.scanned(3)


async def test_what_a_plugin_knows_of_a_loss_is_what_an_allocation_is_refused_with(tmp_path: Path) -> None:
    class Knowing(DemoPlugin):
        def scan(self) -> ScanResult:
            return replace(super().scan(), losses={"unit": {"unit1": "it was switched off"}})

    plugin = Knowing()
    async with running(tmp_path, plugin) as node:
        await node.kubelet.wait_for_list(RESOURCE, full)
        plugin.devices = {"unit": [unit("unit0")]}
        node.uevent()
        await node.kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 1)

        async with grpc.aio.insecure_channel(f"unix:{tmp_path}/device-plugins/demo.intel.com-unit.sock") as channel:
            asked = pb.AllocateRequest(container_requests=[pb.ContainerAllocateRequest(devices_ids=["unit1"])])
            with pytest.raises(grpc.aio.AioRpcError, match="it was switched off"):
                await DevicePluginStub(channel).Allocate(asked)


@pytest.mark.parametrize("version", ["1.31", "1.37"])
async def test_kubelet_restarts_lose_nothing_and_leak_nothing(tmp_path: Path, version: str) -> None:
    kubelet = SimulatedKubelet(tmp_path, version=version)
    async with kubelet, running(tmp_path, DemoPlugin(), kubelet=kubelet) as node:
        await kubelet.wait_for_list(RESOURCE, full)
        descriptors, threads = [], []
        for _ in range(20):
            await kubelet.restart()
            await kubelet.wait_for_list(RESOURCE, full)
            now = usage()
            descriptors.append(now[0])
            threads.append(now[1])

        # Both ends of connections that just close, and of that to pod-resources, come and go: what leaks stays.
        assert min(descriptors[-5:]) <= max(descriptors[:5])
        assert min(threads[-5:]) <= max(threads[:5])
        assert node.sockets == {SOCKET}
        assert {event.endpoint for event in kubelet.registrations} == {SOCKET}


async def test_a_kubelet_that_comes_late_is_found_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, DemoPlugin(), start_kubelet=False) as node:
        await asyncio.sleep(0)
        assert not node.kubelet.device_plugins.exists()
        await node.kubelet.start()
        await node.kubelet.wait_for_list(RESOURCE, full)


async def test_a_kubelet_that_was_down_is_found_again(tmp_path: Path) -> None:
    async with running(tmp_path, DemoPlugin()) as node:
        await node.kubelet.wait_for_list(RESOURCE, full)
        await node.kubelet.stop()
        await node.kubelet.start()
        await node.kubelet.wait_for_list(RESOURCE, full)
        assert [event.error for event in node.kubelet.registrations] == ["", ""]


async def test_the_kubelets_directory_may_vanish_and_come_back(tmp_path: Path) -> None:
    async with running(tmp_path, DemoPlugin()) as node:
        await node.kubelet.wait_for_list(RESOURCE, full)
        await node.kubelet.stop()
        shutil.rmtree(node.kubelet.device_plugins)
        await node.kubelet.start()
        await node.kubelet.wait_for_list(RESOURCE, full)


@pytest.mark.parametrize("version", ["1.36", "1.37"])
async def test_a_removed_socket_is_bound_and_registered_again(tmp_path: Path, version: str) -> None:
    kubelet = SimulatedKubelet(tmp_path, version=version)
    async with kubelet, running(tmp_path, DemoPlugin(), kubelet=kubelet) as node:
        await kubelet.wait_for_list(RESOURCE, full)
        (kubelet.device_plugins / SOCKET).unlink()
        await kubelet.wait_until(lambda: len(kubelet.registrations) == 2, what="a second registration")
        await kubelet.wait_for_list(RESOURCE, full)

        first, second = kubelet.registrations
        assert second.at - first.at >= QUICK.settle
        assert second.error == ""
        assert node.sockets == {SOCKET}


async def test_a_registration_without_a_stream_is_not_trusted_for_ever(tmp_path: Path) -> None:
    """A kubelet that takes the registration and never asks for the list."""
    registered: asyncio.Queue[str] = asyncio.Queue()
    server = await registrar(tmp_path, lambda request: registered.put_nowait(request.endpoint))
    async with running(tmp_path, DemoPlugin(), start_kubelet=False):
        assert await asyncio.wait_for(registered.get(), 5) == SOCKET
        assert await asyncio.wait_for(registered.get(), 5) == SOCKET
    await server.stop(None)


async def test_a_new_kubelet_is_registered_with_while_the_old_one_hangs(tmp_path: Path) -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def hang(_: pb.RegisterRequest) -> None:
        asked.set()
        await release.wait()

    old = await registrar(tmp_path, hang)
    patient = Timings(deadline=600.0)
    async with running(tmp_path, DemoPlugin(), start_kubelet=False, timings=patient) as node:
        await asyncio.wait_for(asked.wait(), 5)
        (tmp_path / "device-plugins/kubelet.sock").rename(tmp_path / "old.sock")
        await node.kubelet.start()
        await node.kubelet.wait_for_list(RESOURCE, full)
    release.set()
    await old.stop(None)


async def test_a_kubelet_that_changes_its_sockets_mode_while_it_is_asked_is_not_given_up(tmp_path: Path) -> None:
    plugin = DemoPlugin()
    asked, release = asyncio.Event(), asyncio.Event()
    answered: asyncio.Queue[str] = asyncio.Queue()

    async def answer(request: pb.RegisterRequest) -> None:
        asked.set()
        await release.wait()
        answered.put_nowait(request.endpoint)

    server = await registrar(tmp_path, answer)
    async with running(tmp_path, plugin, start_kubelet=False, timings=Timings()) as node:
        await asyncio.wait_for(asked.wait(), 5)
        (tmp_path / "device-plugins/kubelet.sock").chmod(0o660)
        before = plugin.scans
        node.uevent()
        await plugin.scanned(before + 1)  # by then the plugin has also seen the change
        release.set()
        assert await asyncio.wait_for(answered.get(), 5) == SOCKET
    await server.stop(None)


@pytest.mark.parametrize("kind", ["nothing", "file", "directory"])
async def test_a_kubelet_whose_socket_is_gone_keeps_its_stream(tmp_path: Path, kind: str) -> None:
    plugin = DemoPlugin()
    async with running(tmp_path, plugin) as node:
        await node.kubelet.wait_for_list(RESOURCE, full)
        place = node.kubelet.device_plugins / "kubelet.sock"
        place.rename(tmp_path / "kubelet.sock")
        if kind == "file":
            place.touch()
        elif kind == "directory":
            place.mkdir()
        plugin.devices = {"unit": [unit("unit0")]}
        node.uevent()
        await node.kubelet.wait_for_list(RESOURCE, lambda listed: (listed.allocatable, listed.capacity) == (1, 2))
        assert len(node.kubelet.registrations) == 1
        if kind == "file":
            place.unlink()
        elif kind == "directory":
            place.rmdir()


async def test_a_refusing_kubelet_is_asked_again(tmp_path: Path) -> None:
    answers = [RuntimeError("not today"), RuntimeError("not now"), None]
    registered = asyncio.Event()

    def answer(_: pb.RegisterRequest) -> None:
        error = answers.pop(0)
        if error:
            raise error
        registered.set()

    server = await registrar(tmp_path, answer)
    async with running(tmp_path, DemoPlugin(), start_kubelet=False):
        await asyncio.wait_for(registered.wait(), 5)
    await server.stop(None)


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL, None]
)
async def test_whatever_status_a_registration_fails_with_it_is_told_once_and_tried_again(
    tmp_path: Path, code: grpc.StatusCode | None, caplog: pytest.LogCaptureFixture
) -> None:
    """None: no answer within the deadline."""
    attempts, registered = 0, asyncio.Event()

    async def answer(_: pb.RegisterRequest, context: "grpc.aio.ServicerContext[object, object]") -> None:
        nonlocal attempts
        attempts += 1
        if attempts > 3:
            registered.set()
        elif code is None:
            await asyncio.Event().wait()
        else:
            await context.abort(code, "not today")

    server = await registrar(tmp_path, answer)
    async with running(tmp_path, DemoPlugin(), start_kubelet=False, timings=Timings(deadline=0.1, patience=60)):
        await asyncio.wait_for(registered.wait(), 10)
    await server.stop(None)

    told = [fields_of(record) for record in caplog.records if record.getMessage().startswith("cannot register yet")]
    assert len(told) == 1
    assert ("DEADLINE_EXCEEDED" if code is None else f"{code.name}: not today") in str(told[0]["reason"])


async def test_another_endpoint_is_tried_when_the_kubelet_says_already_connected(tmp_path: Path) -> None:
    names: list[str] = []
    registered = asyncio.Event()

    def answer(request: pb.RegisterRequest) -> None:
        names.append(request.endpoint)
        if request.endpoint == SOCKET:
            raise RuntimeError(f"device plugin already connected: {tmp_path}/{SOCKET}")
        registered.set()

    server = await registrar(tmp_path, answer)
    async with running(tmp_path, DemoPlugin(), start_kubelet=False) as node:
        await asyncio.wait_for(registered.wait(), 5)
        assert names == [SOCKET, "demo.intel.com-unit-1.sock"]
        assert node.sockets == {"demo.intel.com-unit-1.sock"}
    await server.stop(None)


async def test_a_second_instance_waits_for_the_first_to_end(tmp_path: Path) -> None:
    first, second = DemoPlugin(), DemoPlugin(devices={"unit": [unit("unit9")]})
    kubelet = SimulatedKubelet(tmp_path, version="1.36")
    async with kubelet:
        async with running(tmp_path, first, kubelet=kubelet):
            await kubelet.wait_for_list(RESOURCE, full)
            waiting = running(tmp_path, second, kubelet=kubelet, uevent_socket=None)
            await waiting.__aenter__()
            await second.scanned(1)
            assert kubelet.resources[RESOURCE].allocatable == 2
        await kubelet.wait_for_list(RESOURCE, lambda listed: list(listed.devices) == ["unit9"])
        await waiting.__aexit__(None, None, None)


@pytest.mark.parametrize("kind", ["file", "directory"])
async def test_a_foreign_file_in_the_sockets_place_is_left_alone_until_it_goes(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "device-plugins" / SOCKET
    place.parent.mkdir(parents=True)
    if kind == "file":
        place.write_text("precious")
    else:
        place.mkdir()
    plugin = DemoPlugin()
    async with running(tmp_path, plugin) as node:
        await plugin.scanned(1)
        assert place.exists()
        assert not node.kubelet.registrations
        if kind == "file":
            place.unlink()
        else:
            place.rmdir()
        await node.kubelet.wait_for_list(RESOURCE, full)


async def test_of_a_list_too_large_for_the_kubelet_only_the_known_devices_are_told(tmp_path: Path) -> None:
    plugin = DemoPlugin()
    many = [Device(id=f"{number:060}") for number in range(60_000)]
    async with running(tmp_path, plugin) as node:
        await node.kubelet.wait_for_list(RESOURCE, full)
        plugin.devices = {"unit": [unit("unit0"), unit("unit1"), *many]}
        before = plugin.scans
        node.uevent()
        await plugin.scanned(before + 2)
        assert full(node.kubelet.resources[RESOURCE])

        plugin.devices = {"unit": [unit("unit0"), *many]}
        node.uevent()
        counts = (1, 2)
        await node.kubelet.wait_for_list(
            RESOURCE, lambda listed: (listed.allocatable, listed.capacity) == counts, timeout=30
        )


async def test_one_plugins_trouble_is_not_anothers(tmp_path: Path) -> None:
    hanging, release = threading.Event(), threading.Event()

    class Hanging(DemoPlugin):
        def scan(self) -> ScanResult:
            hanging.set()
            release.wait(30)
            raise RuntimeError("and then it failed")

    class Failing(DemoPlugin):
        def scan(self) -> ScanResult:
            raise OSError(5, "Input/output error")

    plugins = (Hanging(namespace="a.intel.com"), Failing(namespace="b.intel.com"), DemoPlugin())
    async with running(tmp_path, *plugins) as node:
        await node.kubelet.wait_for_list(RESOURCE, full)
        assert hanging.is_set()
        release.set()


async def test_two_resources_that_want_one_socket_cost_only_one_of_them(tmp_path: Path) -> None:
    first = DemoPlugin(namespace="a.b", devices={"c-d": [unit("unit0")]})
    second = DemoPlugin(namespace="a.b-c", devices={"d": [unit("unit0")], "e": [unit("unit0")]})
    async with running(tmp_path, first, second) as node:
        await node.kubelet.wait_for_list("a.b-c/e")
        await node.kubelet.wait_until(lambda: len(node.kubelet.registrations) == 2)

        assert {event.endpoint for event in node.kubelet.registrations} == {"a.b-c-d.sock", "a.b-c-e.sock"}


async def test_a_path_with_blanks_and_percent_signs_works() -> None:
    with tempfile.TemporaryDirectory(prefix="50% k8s ") as root:
        async with running(Path(root), DemoPlugin()) as node:
            await node.kubelet.wait_for_list(RESOURCE, full)


@pytest.mark.parametrize(
    "authority", ["localhost", "/var/lib/kubelet/device-plugins/x.sock", "%2Fvar%2Flib%2Fkubelet%2Fx.sock"]
)
async def test_whatever_authority_the_kubelet_sends_is_fine(tmp_path: Path, authority: str) -> None:
    kubelet = SimulatedKubelet(tmp_path, authority=authority)
    async with kubelet, running(tmp_path, DemoPlugin(), kubelet=kubelet):
        await kubelet.wait_for_list(RESOURCE, full)


async def test_a_flood_of_events_is_a_few_scans(tmp_path: Path) -> None:
    plugin = DemoPlugin()
    async with running(tmp_path, plugin) as node:
        await node.kubelet.wait_for_list(RESOURCE, full)
        before = plugin.scans
        await node.uevents(200)
        plugin.devices = {"unit": [unit("unit0")]}
        node.uevent()
        await node.kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 1)
        assert plugin.scans - before < 50


async def test_a_plugin_hears_the_events_of_its_subsystems_and_may_fail_at_it(tmp_path: Path) -> None:
    heard: list[tuple[str, str]] = []

    class Hearing(DemoPlugin):
        def heard(self, event: Uevent) -> None:
            heard.append((event.subsystem, event.variables["SUBSYSTEM"]))
            raise RuntimeError("of its own")

    plugin = Hearing()
    async with running(tmp_path, plugin) as node:
        await node.kubelet.wait_for_list(RESOURCE, full)
        before = plugin.scans
        node.uevent("other")
        node.uevent()
        await plugin.scanned(before + 1)

        assert heard == [("demo", "demo")]


async def test_at_the_end_our_sockets_are_gone_and_the_kubelet_has_seen_the_stream_end(tmp_path: Path) -> None:
    kubelet = SimulatedKubelet(tmp_path)
    async with kubelet:
        async with running(tmp_path, DemoPlugin(), kubelet=kubelet) as node:
            await kubelet.wait_for_list(RESOURCE, full)
        assert node.sockets == set()
        assert not (tmp_path / "uevents").exists()
        await kubelet.wait_for_list(RESOURCE, lambda listed: (listed.allocatable, listed.capacity) == (0, 2))


async def listed(stream: "grpc.aio.UnaryStreamCall[pb.Empty, pb.ListAndWatchResponse]") -> pb.ListAndWatchResponse:
    """The stream's next list."""
    message = await asyncio.wait_for(stream.read(), 5)
    assert isinstance(message, pb.ListAndWatchResponse)
    return message


async def registrar(root: Path, answer: object) -> grpc.aio.Server:
    """A kubelet that only takes registrations, and answers them as it is told."""
    from xpu_wire.deviceplugin_v1beta1_pb2_grpc import RegistrationServicer, add_RegistrationServicer_to_server

    class Registrar(RegistrationServicer):
        async def Register(self, request: pb.RegisterRequest, context: object) -> pb.Empty:
            assert callable(answer)
            answered = answer(request, context) if len(inspect.signature(answer).parameters) == 2 else answer(request)
            if inspect.isawaitable(answered):
                await answered
            return pb.Empty()

    (root / "device-plugins").mkdir(exist_ok=True)
    server = grpc.aio.server()
    add_RegistrationServicer_to_server(Registrar(), server)
    server.add_insecure_port(f"unix:{root / 'device-plugins/kubelet.sock'}")
    await server.start()
    return server


async def test_a_kubelet_that_restarts_while_streams_still_end_is_told_at_once(tmp_path: Path) -> None:
    preparing, release = threading.Event(), threading.Event()

    class Slow(DemoPlugin):
        def prepare(self, device_type: str, ids: Sequence[str], allocation: Allocation) -> Allocation:
            preparing.set()
            release.wait(10)
            return allocation

    async with running(tmp_path, Slow(), timings=replace(QUICK, settle=60.0)) as node:
        await node.kubelet.wait_for_list(RESOURCE, full)
        socket = node.kubelet.device_plugins / SOCKET
        asked = pb.AllocateRequest(container_requests=[pb.ContainerAllocateRequest(devices_ids=["unit0"])])
        async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
            call = asyncio.ensure_future(DevicePluginStub(channel).Allocate(asked))
            await asyncio.to_thread(preparing.wait, 5)
            socket.unlink()  # as a kubelet does when it starts
            await node.kubelet.wait_until(lambda: not node.kubelet.resources[RESOURCE].allocatable, timeout=5)
            await node.kubelet.restart()
            release.set()
            await asyncio.wait({call})
        await node.kubelet.wait_for_list(RESOURCE, full, timeout=10)
