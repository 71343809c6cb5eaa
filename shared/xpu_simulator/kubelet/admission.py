"""How a kubelet gives devices to pods: one pod at a time, every id to one pod only."""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping, Sequence

from xpu_simulator.errors import ImpossibleError
from xpu_simulator.kubelet.connection import PluginConnection, PluginError
from xpu_simulator.kubelet.events import ContainerStartFailed, Event, PodAdmitted, PodDeleted, PodRejected
from xpu_simulator.kubelet.pods import AdmissionError, Pod, merge
from xpu_simulator.kubelet.resources import Resources
from xpu_wire import deviceplugin_v1beta1_pb2 as pb


class Admission:
    """The pods of a node. It outlives restarts of the kubelet, as a checkpoint does."""

    def __init__(
        self,
        resources: Resources,
        *,
        speaker: Callable[[str], PluginConnection | None],
        publish: Callable[[Event], None],
        shuffle: random.Random,
    ) -> None:
        self.pods: dict[str, Pod] = {}
        self._resources = resources
        self._speaker = speaker
        self._publish = publish
        self._random = shuffle
        self._one_pod_at_a_time = asyncio.Lock()

    async def admit(self, name: str, requests: Mapping[str, int]) -> Pod:
        """Give a pod so many devices of each resource and start it; AdmissionError rejects it for good."""
        if name in self.pods:
            raise ImpossibleError(f"there is a pod {name!r} already")
        async with self._one_pod_at_a_time:
            try:
                pod = await self._allocate(name, {resource: n for resource, n in requests.items() if n})
            except PluginError as error:
                message = f"Allocate failed due to {error}, which is unexpected"
                self._publish(PodRejected(pod=name, reason="UnexpectedAdmissionError", message=message))
                raise AdmissionError(name, "UnexpectedAdmissionError", message) from error
        self._publish(PodAdmitted(pod=name, devices=pod.devices))
        await self.start(name)
        return pod

    async def start(self, name: str) -> Pod:
        """Start, or start again, the container of an admitted pod; a failure stands in the pod and may be retried."""
        pod = self._pod(name)
        try:
            for resource, ids in pod.devices.items():
                speaker = self._speaker(resource)
                if speaker and speaker.options.pre_start_required:
                    await speaker.pre_start(self._shuffled(ids))
        except PluginError as error:
            pod.running, pod.message = False, str(error)
            self._publish(ContainerStartFailed(pod=name, message=pod.message))
        else:
            pod.running, pod.message = True, ""
        return pod

    def delete(self, name: str) -> None:
        """The pod ends and its devices are free."""
        del self.pods[self._pod(name).name]
        self._publish(PodDeleted(pod=name))

    def in_use(self, resource: str) -> frozenset[str]:
        return frozenset(id_ for pod in self.pods.values() for id_ in pod.devices.get(resource, ()))

    def _pod(self, name: str) -> Pod:
        if name not in self.pods:
            raise ImpossibleError(f"there is no pod {name!r}")
        return self.pods[name]

    async def _allocate(self, name: str, requests: Mapping[str, int]) -> Pod:
        devices: dict[str, Sequence[str]] = {}
        answers: list[pb.ContainerAllocateResponse] = []
        for resource, needed in requests.items():
            chosen = await self._choose(resource, needed)
            answers.append(await self._connected(resource).allocate(chosen))
            devices[resource] = tuple(sorted(chosen))
        pod = self.pods[name] = Pod(name=name, devices=devices, given=merge(answers))
        return pod

    async def _choose(self, resource: str, needed: int) -> list[str]:
        """Which ids: those the plugin prefers as far as they may be had, then any."""
        if not self._resources[resource].registered:
            raise PluginError(f"cannot allocate unregistered device {resource}")
        healthy = self._resources[resource].healthy
        if not healthy:
            raise PluginError(f"no healthy devices present; cannot allocate unhealthy devices {resource}")
        available = healthy - self.in_use(resource)
        if len(available) < needed:
            raise PluginError(
                f"requested number of devices unavailable for {resource}. "
                f"Requested: {needed}, Available: {len(available)}"
            )
        preferred = await self._preferred(resource, available, needed)
        chosen = self._shuffled(preferred & available)[:needed]
        return chosen + self._shuffled(available - set(chosen))[: needed - len(chosen)]

    async def _preferred(self, resource: str, available: frozenset[str], needed: int) -> frozenset[str]:
        speaker = self._connected(resource)
        if not speaker.options.get_preferred_allocation_available:
            return frozenset()
        return await speaker.preferred(self._shuffled(available), (), needed)

    def _connected(self, resource: str) -> PluginConnection:
        speaker = self._speaker(resource)
        if speaker is None:
            raise PluginError(f"endpoint of {resource} has been stopped")
        return speaker

    def _shuffled(self, ids: Collection[str]) -> list[str]:
        """Kubelets keep ids in sets, so plugins see them in any order."""
        return self._random.sample(sorted(ids), k=len(ids))
