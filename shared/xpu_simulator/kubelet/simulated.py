"""A kubelet that device plugins can register with: in this process, without Kubernetes.

It behaves as kubelets do towards plugins, their weaknesses included: it dials back while Register is pending, opens
one stream per registration and never again, takes messages of up to 4 MiB, gives every id to one pod at most, and
wipes the sockets when it starts. Below the directory it is given everything is where it is on a node: `device-plugins`
with its socket and the plugins', `plugins_registry` for plugins that wait to be found, `pod-resources` with the socket
that tells who holds what.
"""

import contextlib
import os
import random
import shutil
import stat
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from xpu_simulator.errors import ImpossibleError
from xpu_simulator.kubelet.admission import Admission
from xpu_simulator.kubelet.bookkeeping import keeps_by_path
from xpu_simulator.kubelet.checkpoint import Checkpoint, CheckpointError
from xpu_simulator.kubelet.checkpoint import read as read_checkpoint
from xpu_simulator.kubelet.checkpoint import write as write_checkpoint
from xpu_simulator.kubelet.choice import Choice
from xpu_simulator.kubelet.connection import PluginConnection, PluginError
from xpu_simulator.kubelet.device_manager import DeviceManager
from xpu_simulator.kubelet.events import (
    Call,
    CheckpointFailed,
    Event,
    EventLog,
    KubeletStarted,
    KubeletStopped,
    ListReceived,
    NodeRebooted,
    PodAdmitted,
    PodDeleted,
    PodRejected,
    Registration,
    ResourceDropped,
)
from xpu_simulator.kubelet.grants import Grants
from xpu_simulator.kubelet.plugins_registry import PluginsRegistry
from xpu_simulator.kubelet.pod_resources import PodResources, RateLimit
from xpu_simulator.kubelet.pods import Pod
from xpu_simulator.kubelet.registrar import Registrar
from xpu_simulator.kubelet.resources import Resource, Resources
from xpu_simulator.kubelet.serving import KubeletLife, KubeletServer
from xpu_simulator.kubelet.topology import checked_policy
from xpu_wire.deviceplugin_v1beta1_pb2_grpc import add_RegistrationServicer_to_server
from xpu_wire.podresources_v1_pb2_grpc import add_PodResourcesListerServicer_to_server

LONGEST_SOCKET_PATH = 107  # bytes, a limit of Linux
REMEMBERED = 10_000  # calls and registrations
REMEMBERED_CHANGES = (ListReceived, ResourceDropped, PodAdmitted, PodRejected, PodDeleted)  # the checkpoint is written


class SimulatedKubelet:
    """One node's kubelet; it can be stopped and started any number of times.

    Args:
        directory: what plugins know as `--kubelet-dir`.
        version: to be like, such as "1.36" or "1.37": see `bookkeeping.py`; before 1.34 pod-resources has no Get.
        authority: what its calls carry as `:authority`; None is `localhost`, other versions send the socket's path.
        dial_timeout: seconds a plugin has to answer inside its Register call.
        grace: seconds after which a resource that nobody registers again is dropped.
        seed: for the order in which ids are handed out, which is random in every kubelet.
        pod_resources_limit: how many requests the pod-resources API takes.
        topology_policy: "none", "best-effort", "restricted" or "single-numa-node".
        numa_nodes: of the machine; None are those that devices name.
        cdi_device_exists: whether the container runtime knows a qualified CDI name; a container does not start without
            those it was given. None: all are known.
    What happens is told by its `events`.
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
        pod_resources_limit: RateLimit = RateLimit(),  # noqa: B008 - immutable
        topology_policy: str = "none",
        numa_nodes: Sequence[int] | None = None,
        cdi_device_exists: Callable[[str], bool] | None = None,
    ) -> None:
        self.device_plugins = directory / "device-plugins"
        self.socket = self.device_plugins / "kubelet.sock"
        self.pod_resources_socket = directory / "pod-resources" / "kubelet.sock"
        self.plugins_registry = directory / "plugins_registry"
        if len(os.fsencode(self.socket)) > LONGEST_SOCKET_PATH:
            raise ValueError(f"{self.socket} is too long for a socket: at most {LONGEST_SOCKET_PATH} bytes")
        self.resources = Resources()
        self.events = EventLog()
        self.calls: deque[Call] = deque(maxlen=REMEMBERED)
        self.registrations: deque[Registration] = deque(maxlen=REMEMBERED)
        self._version = version
        self._by_path = keeps_by_path(version)
        self._authority = authority
        self._dial_timeout = dial_timeout
        self._grace = grace
        self._pod_resources_limit = pod_resources_limit
        self._life: KubeletLife | None = None
        self._lives = 0
        self._grants = Grants()
        self._admission = Admission(
            self.resources,
            self._grants,
            Choice(
                self.resources,
                self._grants,
                connected=self._connected,
                policy=checked_policy(topology_policy, numa_nodes),
                numa_nodes=numa_nodes,
                shuffle=random.Random(seed),  # noqa: S311 - an arbitrary order, no secret
            ),
            connected=self._connected,
            publish=self._publish,
            cdi_device_exists=cdi_device_exists or (lambda name: True),
        )

    @property
    def pods(self) -> Mapping[str, Pod]:
        return self._admission.pods

    async def start(self) -> None:
        """Read the checkpoint, wipe the sockets, listen. What was known before is there again, without its devices."""
        if self._life:
            raise ImpossibleError("the kubelet is running already")
        self._prepare_directory()
        self._life = self._new_life()
        self._recall(self._life)
        await self._life.start()
        self._publish(KubeletStarted())

    async def stop(self) -> None:
        """End as a killed kubelet does: connections break, and its sockets stay behind."""
        if not self._life:
            raise ImpossibleError("the kubelet is not running")
        life, self._life = self._life, None
        await life.stop()
        self._publish(KubeletStopped())

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def reboot(
        self, *, wipe: Iterable[Path] = (), before_pods: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        """The node goes down and comes up: containers end, the kubelet starts anew and admits its pods again.

        A pod gets what its checkpoint says, by the old answer of Allocate, which is not called. It is rejected for
        good when one of its devices is not listed as healthy by then, and does not start while CDI devices of its
        answer are missing; `start_container` tries again. Events: NodeRebooted, KubeletStarted, then for each pod
        PodRejected, or PodAdmitted with `again` and ContainerStarted or ContainerStartFailed.

        Args:
            wipe: files and directories that do not survive, such as the directory of CDI files.
            before_pods: awaited between the kubelet's start and the pods' admission, which real kubelets do at once:
                the time that plugins have to come up.
        """
        if self._life:
            await self.stop()
        self._admission.stop_all()
        for path in wipe:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        self._publish(NodeRebooted())
        await self.start()
        if before_pods:
            await before_pods()
        await self._admission.admit_again()

    async def __aenter__(self) -> "SimulatedKubelet":
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._life:
            await self.stop()

    async def admit(self, pod: str, requests: Mapping[str, int]) -> Pod:
        """Run a pod of one container that asks for so many devices of each resource.

        Events: PodRejected, or PodAdmitted and ContainerStarted or ContainerStartFailed.

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
        if not self._life:
            raise ImpossibleError("the kubelet is not running")
        return self._life.manager

    def _new_life(self) -> KubeletLife:
        manager = DeviceManager(
            self.device_plugins,
            self.resources,
            by_path=self._by_path,
            authority=self._authority,
            dial_timeout=self._dial_timeout,
            grace=self._grace,
            publish=self._publish,
        )
        registrar = Registrar(manager, self._publish)
        lister = PodResources(
            self.pods, self._grants, self.resources, limit=self._pod_resources_limit, version=self._version
        )
        return KubeletLife(
            manager,
            PluginsRegistry(self.plugins_registry, manager, dial_timeout=self._dial_timeout, publish=self._publish),
            KubeletServer(self.socket, link=".sockets", add=partial(add_RegistrationServicer_to_server, registrar)),
            KubeletServer(
                self.pod_resources_socket,
                link=".pod-sockets",
                add=partial(add_PodResourcesListerServicer_to_server, lister),
            ),
        )

    def _connected(self, resource: str) -> PluginConnection:
        connection = self._life.manager.speaker(resource) if self._life else None
        if connection is None:
            raise PluginError(f"endpoint of {resource} has been stopped")
        return connection

    def _recall(self, life: KubeletLife) -> None:
        checkpoint = Checkpoint()
        try:
            checkpoint = read_checkpoint(self.device_plugins)
        except CheckpointError as error:
            self._publish(CheckpointFailed(message=str(error)))
        self._lives += 1
        self._admission.recall(checkpoint.grants, adopt=self._lives == 1)
        life.manager.recall(checkpoint.registered)

    def _remember(self) -> None:
        registered = {name: sorted(known.healthy) for name, known in self.resources.items() if known.registered}
        try:
            write_checkpoint(self.device_plugins, Checkpoint(grants=tuple(self._grants), registered=registered))
        except CheckpointError as error:
            self._publish(CheckpointFailed(message=str(error)))

    def _publish(self, event: Event) -> None:
        if self._life and isinstance(event, REMEMBERED_CHANGES):
            self._remember()
        if isinstance(event, Call):
            self.calls.append(event)
        elif isinstance(event, Registration):
            self.registrations.append(event)
        self.events.publish(event)

    def _prepare_directory(self) -> None:
        """Kubelets remove every socket, but neither files nor directories."""
        self.device_plugins.mkdir(mode=0o750, parents=True, exist_ok=True)
        for path in self.device_plugins.iterdir():
            with contextlib.suppress(FileNotFoundError):  # its plugin was quicker
                if stat.S_ISSOCK(path.lstat().st_mode):
                    path.unlink()
        (self.device_plugins / "DEPRECATION").touch()
        self.pod_resources_socket.parent.mkdir(mode=0o750, exist_ok=True)
