"""A kubelet that device plugins can register with: in this process, without Kubernetes.

It behaves as kubelets do towards plugins, their weaknesses included: it dials back while Register is pending, opens
one stream per registration and never again, takes messages of up to 4 MiB, gives every id to one pod at most, and
wipes the sockets when it starts. Its sockets are in `device-plugins` below the directory it is given, as on a node.
"""

import os
import random
import stat
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

import grpc

from xpu_simulator.errors import ImpossibleError
from xpu_simulator.kubelet.admission import Admission
from xpu_simulator.kubelet.connection import PluginConnection
from xpu_simulator.kubelet.device_manager import DeviceManager, RegistrationError
from xpu_simulator.kubelet.events import Call, Event, EventLog, KubeletStarted, KubeletStopped, Registration
from xpu_simulator.kubelet.pods import Pod
from xpu_simulator.kubelet.resources import Resource, Resources
from xpu_wire import deviceplugin_v1beta1_pb2 as pb
from xpu_wire import deviceplugin_v1beta1_pb2_grpc as pb_grpc

FIRST_BY_PATH = 37  # the minor version from which connections are kept by name and path
LONGEST_SOCKET_PATH = 107  # bytes, a limit of Linux
REMEMBERED = 10_000  # calls and registrations


class SimulatedKubelet:
    """One node's kubelet; it can be stopped and started any number of times.

    Args:
        directory: what plugins know as `--kubelet-dir`.
        version: the kubelet to be like, such as "1.36" or "1.37": they differ in what a second registration does.
        authority: what its calls carry as `:authority`; None is `localhost`, other versions send the socket's path.
        dial_timeout: seconds a plugin has to answer inside its Register call.
        grace: seconds after which a resource that nobody registers again is dropped.
        seed: for the order in which ids are handed out, which is random in every kubelet.
    """

    def __init__(
        self,
        directory: Path,
        *,
        version: str = "1.36",
        authority: str | None = None,
        dial_timeout: float = 10.0,
        grace: float = 300.0,
        seed: int | None = None,
    ) -> None:
        self.device_plugins = directory / "device-plugins"
        self.socket = self.device_plugins / "kubelet.sock"
        if len(os.fsencode(self.socket)) > LONGEST_SOCKET_PATH:
            raise ValueError(f"{self.socket} is too long for a socket: at most {LONGEST_SOCKET_PATH} bytes")
        self.resources = Resources()
        self.events = EventLog()
        self.calls: deque[Call] = deque(maxlen=REMEMBERED)
        self.registrations: deque[Registration] = deque(maxlen=REMEMBERED)
        self._binding = directory / ".sockets"
        self._by_path = _minor(version) >= FIRST_BY_PATH
        self._authority = authority
        self._dial_timeout = dial_timeout
        self._grace = grace
        self._server: grpc.aio.Server | None = None
        self._manager: DeviceManager | None = None
        shuffle = random.Random(seed)  # noqa: S311 - an arbitrary order, no secret
        self._admission = Admission(self.resources, speaker=self._speaker, publish=self._publish, shuffle=shuffle)

    @property
    def pods(self) -> Mapping[str, Pod]:
        return self._admission.pods

    async def start(self) -> None:
        """Wipe the sockets, listen, and remember resources without their devices."""
        if self._server:
            raise ImpossibleError("the kubelet is running already")
        self._prepare_directory()
        self._manager = DeviceManager(
            self.device_plugins,
            self.resources,
            by_path=self._by_path,
            authority=self._authority,
            dial_timeout=self._dial_timeout,
            grace=self._grace,
            publish=self._publish,
        )
        self._manager.recall()
        self._server = grpc.aio.server()
        pb_grpc.add_RegistrationServicer_to_server(_Registrar(self._manager, self._publish), self._server)
        self._server.add_insecure_port(f"unix:{self._binding / self.socket.name}")
        await self._server.start()
        self._publish(KubeletStarted())

    async def stop(self) -> None:
        """End as a killed kubelet does: connections break, and its socket stays behind."""
        if not self._server or not self._manager:
            raise ImpossibleError("the kubelet is not running")
        # gRPC unlinks the path it was told to bind; without the link it was reached through, the socket stays.
        self._binding.unlink()
        server, manager, self._server, self._manager = self._server, self._manager, None, None
        await server.stop(None)
        await manager.close()
        self._publish(KubeletStopped())

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def __aenter__(self) -> "SimulatedKubelet":
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._server:
            await self.stop()

    async def admit(self, pod: str, requests: Mapping[str, int]) -> Pod:
        """Run a pod of one container that asks for so many devices of each resource.

        Raises:
            AdmissionError: it is rejected, which is final for a pod.
        """
        self._running()
        return await self._admission.admit(pod, requests)

    async def start_container(self, pod: str) -> Pod:
        """Start the container of an admitted pod once more; what it was given stays the same."""
        self._running()
        return await self._admission.start(pod)

    def delete(self, pod: str) -> None:
        """Delete a pod; its devices are free."""
        self._admission.delete(pod)

    def pause_reading(self, resource: str) -> None:
        """Be slow: leave the messages of a resource's stream unread from now on."""
        self._running().pause(resource)

    def resume_reading(self, resource: str) -> None:
        self._running().resume(resource)

    async def wait_until(self, predicate: Callable[[], bool], *, timeout: float = 10.0, what: str = "") -> None:  # noqa: ASYNC109 - so that the error can say what was waited for
        """Return as soon as `predicate` holds, TimeoutError when it does not in time."""
        await self.events.wait_until(predicate, timeout=timeout, what=what)

    async def wait_for_list(
        self,
        resource: str,
        predicate: Callable[[Resource], bool] = lambda listed: listed.capacity > 0,
        *,
        timeout: float = 10.0,  # noqa: ASYNC109
    ) -> Resource:
        """Return a resource as soon as its devices are as `predicate` wants them."""
        try:
            await self.wait_until(lambda: predicate(self.resources[resource]), timeout=timeout)
        except TimeoutError:
            listed = self.resources[resource]
            counts = f"capacity {listed.capacity}, allocatable {listed.allocatable}, {listed.lists} lists received"
            raise TimeoutError(f"{resource} is not as expected after {timeout:g} s: {counts}") from None
        return self.resources[resource]

    def _running(self) -> DeviceManager:
        if not self._manager:
            raise ImpossibleError("the kubelet is not running")
        return self._manager

    def _speaker(self, resource: str) -> PluginConnection | None:
        return self._manager.speaker(resource) if self._manager else None

    def _publish(self, event: Event) -> None:
        if isinstance(event, Call):
            self.calls.append(event)
        elif isinstance(event, Registration):
            self.registrations.append(event)
        self.events.publish(event)

    def _prepare_directory(self) -> None:
        """Kubelets remove every socket, but neither files nor directories."""
        self.device_plugins.mkdir(mode=0o750, parents=True, exist_ok=True)
        for path in self.device_plugins.iterdir():
            if stat.S_ISSOCK(path.lstat().st_mode):
                path.unlink(missing_ok=True)
        (self.device_plugins / "DEPRECATION").touch()
        self._binding.unlink(missing_ok=True)
        self._binding.symlink_to(self.device_plugins.name)


class _Registrar(pb_grpc.RegistrationServicer):
    def __init__(self, manager: DeviceManager, publish: Callable[[Event], None]) -> None:
        self._manager = manager
        self._publish = publish

    async def Register(
        self, request: pb.RegisterRequest, context: grpc.aio.ServicerContext[pb.RegisterRequest, pb.Empty]
    ) -> pb.Empty:
        error = ""
        try:
            await self._manager.register(request)
        except RegistrationError as refusal:
            error = str(refusal)
        self._publish(
            Registration(
                resource=request.resource_name, endpoint=request.endpoint, version=request.version, error=error
            )
        )
        if error:
            await context.abort(grpc.StatusCode.UNKNOWN, error)
        return pb.Empty()


def _minor(version: str) -> int:
    major, _, minor = version.partition(".")
    if major != "1" or not minor.isdecimal():
        raise ValueError(f"kubelet version {version!r}: expected one such as 1.36")
    return int(minor)
