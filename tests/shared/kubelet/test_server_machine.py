"""The device plugin server as a state machine, over real sockets: kubelets of both kinds of bookkeeping restart, go
away and come back, read slowly and talk nonsense, sockets vanish, devices and pods come and go, in any order.
"""

import asyncio
import shutil
import socket
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from framework import RESOURCE, DemoPlugin, running, unit
from xpu_shared.device import Health
from xpu_simulator.kubelet.pods import AdmissionError
from xpu_simulator.kubelet.simulated import SimulatedKubelet
from xpu_wire import deviceplugin_v1beta1_pb2 as pb
from xpu_wire.deviceplugin_v1beta1_pb2_grpc import DevicePluginStub

IDS = tuple(f"unit{number}" for number in range(4))
PATIENCE = 20.0  # seconds
NOISE = (b"", b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64, b"\0" * 4096)


class ServerMachine(RuleBasedStateMachine):
    """The model: which devices are there, which were, and what each pod has."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="xpu-"))
        self.loop = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.plugin = DemoPlugin()
        self.listed = dict.fromkeys(("unit0", "unit1"), Health.HEALTHY)
        self.pods: dict[str, frozenset[str]] = {}
        self.up = True
        self.reads = True
        self.number = 0

    @initialize(version=st.sampled_from(("1.30", "1.36", "1.37")))
    def begin(self, version: str) -> None:
        self.kubelet = SimulatedKubelet(self.root, version=version)

        async def start() -> None:
            await self.stack.enter_async_context(self.kubelet)
            self.node = await self.stack.enter_async_context(running(self.root, self.plugin, kubelet=self.kubelet))

        self._do(start())

    @rule(id_=st.sampled_from(IDS), health=st.sampled_from(Health))
    def device_comes_or_changes(self, id_: str, health: Health) -> None:
        self.listed[id_] = health
        self._do(self._changed(id_, health))

    @rule(id_=st.sampled_from(IDS))
    def device_goes(self, id_: str) -> None:
        if id_ in self.listed:
            self.listed[id_] = Health.UNHEALTHY
        self._do(self._changed(id_, None))

    @precondition(lambda self: self.up)
    @rule()
    def kubelet_restarts(self) -> None:
        self.reads = True
        self._do(self.kubelet.restart())

    @precondition(lambda self: self.up)
    @rule()
    def kubelet_goes_away(self) -> None:
        self.up = False
        self._do(self.kubelet.stop())

    @precondition(lambda self: not self.up)
    @rule()
    def kubelet_comes_back(self) -> None:
        self.up = self.reads = True
        self._do(self.kubelet.start())

    @precondition(lambda self: self.up and self.reads)
    @rule()
    def kubelet_reads_slowly(self) -> None:
        self.kubelet.pause_reading(RESOURCE)
        self.reads = False

    @precondition(lambda self: self.up and not self.reads)
    @rule()
    def kubelet_reads_again(self) -> None:
        self.kubelet.resume_reading(RESOURCE)
        self.reads = True
        self._do()

    @precondition(lambda self: self.up and self.reads)
    @rule()
    def socket_is_removed(self) -> None:
        """By somebody who tidies up."""
        for path in self._sockets():
            path.unlink()
        self._do(self._registered_again(len(self.kubelet.registrations)))

    @precondition(lambda self: self.up and self.reads)
    @rule(noise=st.sampled_from(NOISE))
    def somebody_talks_nonsense(self, noise: bytes) -> None:
        for path in self._sockets():
            with socket.socket(socket.AF_UNIX) as speaker:
                speaker.connect(str(path))
                speaker.sendall(noise)
        self._do()

    @precondition(lambda self: self.up and self.reads)
    @rule()
    def somebody_else_lists(self) -> None:
        """A further stream begins with all there is, and its end costs nothing."""
        self._do(self._listed_by_another())

    @precondition(lambda self: self.up and self.reads)
    @rule(count=st.integers(1, 3))
    def pod_is_admitted(self, count: int) -> None:
        held = frozenset[str]().union(*self.pods.values())
        free = {id_ for id_, health in self.listed.items() if health is Health.HEALTHY} - held
        self.number += 1
        admission = self.kubelet.admit(f"pod{self.number}", {RESOURCE: count})
        if count > len(free):
            with pytest.raises(AdmissionError):
                self.loop.run(admission)
            return
        pod = self.loop.run(admission)
        self.pods[pod.name] = frozenset(pod.devices[RESOURCE])
        assert len(self.pods[pod.name]) == count
        assert self.pods[pod.name] <= free
        assert {node.host_path for node in pod.given.nodes} == {f"/dev/{id_}" for id_ in self.pods[pod.name]}

    @precondition(lambda self: self.pods and self.up)
    @rule(data=st.data())
    def pod_is_deleted(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.pods)))
        del self.pods[name]
        self.kubelet.delete(name)

    @precondition(lambda self: self.up and self.reads)
    @rule(id_=st.sampled_from((*IDS, "unit9", "")))
    def device_is_asked_for_alone(self, id_: str) -> None:
        codes = {Health.HEALTHY: grpc.StatusCode.OK, Health.UNHEALTHY: grpc.StatusCode.FAILED_PRECONDITION}
        expected = codes[self.listed[id_]] if id_ in self.listed else grpc.StatusCode.NOT_FOUND
        assert self.loop.run(self._allocate(id_)) is expected

    def _sockets(self) -> list[Path]:
        return [self.kubelet.device_plugins / name for name in self.node.sockets if name.endswith(".sock")]

    def _endpoint(self) -> str:
        return f"unix:{self.kubelet.device_plugins / self.kubelet.registrations[-1].endpoint}"

    def _do(self, what: Coroutine[Any, Any, None] | None = None) -> None:
        """Let it happen, and wait until the kubelet, if it reads, knows what is true."""

        async def done() -> None:
            if what is not None:
                await what
            if self.up and self.reads:
                await self.kubelet.wait_for_list(
                    RESOURCE,
                    lambda found: (
                        {device.id: device.healthy for device in found.devices.values()}
                        == {id_: health is Health.HEALTHY for id_, health in self.listed.items()}
                    ),
                    timeout=PATIENCE,
                )

        self.loop.run(done())

    async def _changed(self, id_: str, health: Health | None) -> None:
        others = [device for device in self.plugin.devices["unit"] if device.id != id_]
        self.plugin.devices["unit"] = [*others, *([] if health is None else [unit(id_, health=health)])]
        scans = self.plugin.scans
        self.node.uevent()
        await self.plugin.scanned(scans + 1)  # one that comes and goes between two scans was never there

    async def _registered_again(self, before: int) -> None:
        await self.kubelet.wait_until(lambda: len(self.kubelet.registrations) > before, timeout=PATIENCE)

    async def _listed_by_another(self) -> None:
        async with grpc.aio.insecure_channel(self._endpoint()) as channel:
            stream = DevicePluginStub(channel).ListAndWatch(pb.Empty(), timeout=PATIENCE)
            async for message in stream:
                assert {device.ID: device.health for device in message.devices} == self.listed
                break
            stream.cancel()

    async def _allocate(self, id_: str) -> grpc.StatusCode:
        request = pb.AllocateRequest(container_requests=[pb.ContainerAllocateRequest(devices_ids=[id_])])
        async with grpc.aio.insecure_channel(self._endpoint()) as channel:
            try:
                await DevicePluginStub(channel).Allocate(request, timeout=PATIENCE)
            except grpc.aio.AioRpcError as error:
                return error.code()
        return grpc.StatusCode.OK

    def teardown(self) -> None:
        self.loop.run(self.stack.aclose())
        self.loop.close()
        shutil.rmtree(self.root)


TestServer = ServerMachine.TestCase
TestServer.settings = settings(
    max_examples=8, stateful_step_count=15, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
