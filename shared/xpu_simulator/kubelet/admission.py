"""How a kubelet lets pods in: one at a time, every id to one pod only; and how it starts their containers."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping

from xpu_simulator.errors import ImpossibleError
from xpu_simulator.kubelet.choice import Choice
from xpu_simulator.kubelet.connection import PluginConnection, PluginError
from xpu_simulator.kubelet.events import (
    ContainerStarted,
    ContainerStartFailed,
    Event,
    PodAdmitted,
    PodDeleted,
    PodRejected,
)
from xpu_simulator.kubelet.grants import NO_NODE, Grant, Grants
from xpu_simulator.kubelet.pods import AdmissionError, Pod, merge
from xpu_simulator.kubelet.resources import Resources, natural
from xpu_simulator.kubelet.topology import TopologyAffinityError
from xpu_wire import deviceplugin_v1beta1_pb2 as pb


class Admission:
    """The pods of a node. They outlive restarts of the kubelet, as containers do.

    Args:
        connected: the connection to a resource's plugin; PluginError when there is none.
        cdi_device_exists: whether the container runtime knows a qualified CDI name.
    """

    def __init__(
        self,
        resources: Resources,
        grants: Grants,
        choice: Choice,
        *,
        connected: Callable[[str], PluginConnection],
        publish: Callable[[Event], None],
        cdi_device_exists: Callable[[str], bool],
    ) -> None:
        self.pods: dict[str, Pod] = {}
        self._resources = resources
        self._grants = grants
        self._choice = choice
        self._connected = connected
        self._publish = publish
        self._cdi_device_exists = cdi_device_exists
        self._one_pod_at_a_time = asyncio.Lock()

    async def admit(self, name: str, requests: Mapping[str, int]) -> Pod:
        """Give a pod so many devices of each resource and start it; AdmissionError rejects it for good."""
        async with self._one_pod_at_a_time:
            if name in self.pods:
                raise ImpossibleError(f"there is a pod {name!r} already")
            pod = self.pods[name] = await self._let_in(name, {resource: n for resource, n in requests.items() if n})
        self._publish(PodAdmitted(pod=name, devices=pod.devices))
        return await self._start(pod)

    async def admit_again(self) -> None:
        """After a reboot: admit each pod with what the checkpoint says it has, and start it."""
        for name, pod in tuple(self.pods.items()):
            async with self._one_pod_at_a_time:
                again = await self._admitted_again(pod)
            if again:
                self._publish(PodAdmitted(pod=name, devices=again.devices, again=True))
                await self._start(again)

    async def _admitted_again(self, pod: Pod) -> Pod | None:
        """The pod as it is admitted now; None when it is rejected, or was deleted meanwhile."""
        if self.pods.pop(pod.name, None) is None:
            return None
        try:
            again = await self._let_in(pod.name, {resource: len(ids) for resource, ids in pod.devices.items()})
        except AdmissionError:  # it was published
            return None
        self.pods[pod.name] = again
        return again

    async def start(self, name: str) -> Pod:
        """Start, or start again, the container of an admitted pod; a failure stands in the pod and may be retried."""
        return await self._start(self._pod(name))

    async def _start(self, pod: Pod) -> Pod:
        try:
            await self._prepare(pod)
        except PluginError as error:
            pod.running, pod.message = False, str(error)
            self._publish(ContainerStartFailed(pod=pod.name, message=pod.message))
        else:
            pod.running, pod.message = True, ""
            self._publish(ContainerStarted(pod=pod.name))
        return pod

    def stop_all(self) -> None:
        """The node goes down: no container runs."""
        for pod in self.pods.values():
            pod.running, pod.message = False, "the node went down"

    def delete(self, name: str) -> None:
        """The pod ends and its devices are free."""
        del self.pods[self._pod(name).name]
        self._grants.free(name)
        self._publish(PodDeleted(pod=name))

    def recall(self, grants: Iterable[Grant], *, adopt: bool) -> None:
        """A kubelet starts and knows what its checkpoint says.

        Pods that went while it was away are forgotten; with `adopt` it is the first one, and takes them for running.
        """
        self._grants.replace(grant for grant in grants if adopt or grant.pod in self.pods)
        for name in {grant.pod: None for grant in self._grants if grant.pod not in self.pods}:
            self.pods[name] = self._described(name, running=True)

    def _pod(self, name: str) -> Pod:
        if name not in self.pods:
            raise ImpossibleError(f"there is no pod {name!r}")
        return self.pods[name]

    async def _prepare(self, pod: Pod) -> None:
        """What a container waits for. Raises PluginError, also for what the container runtime says."""
        for resource, ids in pod.devices.items():
            if self._resources[resource].pre_start_required:
                await self._connected(resource).pre_start(self._choice.shuffled(ids))
        missing = [name for name in pod.given.cdi_names if not self._cdi_device_exists(name)]
        if missing:
            raise PluginError(f"CDI device injection failed: unresolvable CDI devices {', '.join(missing)}")

    async def _let_in(self, name: str, requests: Mapping[str, int]) -> Pod:
        try:
            await self._allocate(name, requests)
        except (PluginError, TopologyAffinityError) as error:
            self._grants.free(name)
            raise self._rejection(name, error) from error
        except asyncio.CancelledError:
            self._grants.free(name)
            raise
        return self._described(name, running=False)

    def _rejection(self, name: str, error: PluginError | TopologyAffinityError) -> AdmissionError:
        reason, message = "TopologyAffinityError", str(error)
        if isinstance(error, PluginError):
            reason, message = "UnexpectedAdmissionError", f"Allocate failed due to {error}, which is unexpected"
        self._publish(PodRejected(pod=name, reason=reason, message=message))
        return AdmissionError(name, reason, message)

    async def _allocate(self, name: str, requests: Mapping[str, int]) -> None:
        nodes = self._choice.affinity(name, requests)
        for resource, needed in requests.items():
            if owned := self._grants.ids(name, resource):  # its old answer is used again, the plugin is not asked
                self._choice.check_still_healthy(resource, owned)
                continue
            chosen = await self._choice.choose(resource, needed, nodes)
            answer = await self._connected(resource).allocate(chosen)
            self._grants.add(self._grant(name, resource, chosen, answer))

    def _grant(self, pod: str, resource: str, ids: Collection[str], answer: pb.ContainerAllocateResponse) -> Grant:
        devices = self._resources[resource].devices
        nodes: dict[int, list[str]] = {}
        for id_ in sorted(ids):
            listed = devices[id_].numa_nodes if id_ in devices else ()  # it may have gone while Allocate was answered
            for node in listed or (NO_NODE,):
                nodes.setdefault(node, []).append(id_)
        return Grant(pod=pod, resource=resource, nodes=nodes, answer=answer)

    def _described(self, name: str, *, running: bool) -> Pod:
        grants = self._grants.of(name)
        devices = {grant.resource: tuple(sorted(grant.ids, key=natural)) for grant in grants}
        return Pod(name=name, devices=devices, given=merge(grant.answer for grant in grants), running=running)
