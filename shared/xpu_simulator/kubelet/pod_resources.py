"""The pod-resources API, v1: which container holds which device, and which devices could be had.

It has no ids of pods and no health, and takes a limited number of requests from all clients together.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from xpu_simulator.kubelet.grants import NO_NODE, Grant, Grants
from xpu_simulator.kubelet.pods import CONTAINER, NAMESPACE, Pod
from xpu_simulator.kubelet.resources import Resource, Resources
from xpu_simulator.kubelet.versions import minor_version
from xpu_wire import podresources_v1_pb2 as pb
from xpu_wire import podresources_v1_pb2_grpc as pb_grpc

FIRST_WITH_GET = 34  # the minor version from which Get is on by default

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """How many requests are taken: `per_second` in the long run, `burst` at once."""

    per_second: float = 100.0
    burst: int = 10


class TokenBucket:
    """Full at first; each request takes a token. Times are seconds of one monotonic clock."""

    def __init__(self, limit: RateLimit, *, now: float) -> None:
        self._limit = limit
        self._tokens = float(limit.burst)
        self._filled = now

    def take(self, now: float) -> bool:
        gained = (now - self._filled) * self._limit.per_second
        self._tokens, self._filled = min(self._tokens + gained, self._limit.burst), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class PodResources(pb_grpc.PodResourcesListerServicer):
    def __init__(
        self, pods: Mapping[str, Pod], grants: Grants, resources: Resources, *, limit: RateLimit, version: str
    ) -> None:
        self._get = minor_version(version) >= FIRST_WITH_GET
        self._pods = pods
        self._grants = grants
        self._resources = resources
        self._bucket = TokenBucket(limit, now=_now())

    async def List(self, request: pb.ListPodResourcesRequest, context: Context) -> pb.ListPodResourcesResponse:
        await self._limit(context)
        return pb.ListPodResourcesResponse(pod_resources=[self._pod(name) for name in self._pods])

    async def Get(self, request: pb.GetPodResourcesRequest, context: Context) -> pb.GetPodResourcesResponse:
        await self._limit(context)
        if not self._get:
            await context.abort(grpc.StatusCode.UNKNOWN, "PodResources API Get method disabled")
        if request.pod_namespace != NAMESPACE or request.pod_name not in self._pods:
            text = f"pod {request.pod_name} in namespace {request.pod_namespace} not found"
            await context.abort(grpc.StatusCode.UNKNOWN, text)
        return pb.GetPodResourcesResponse(pod_resources=self._pod(request.pod_name))

    async def GetAllocatableResources(
        self, request: pb.AllocatableResourcesRequest, context: Context
    ) -> pb.AllocatableResourcesResponse:
        await self._limit(context)
        devices = [entry for resource in self._resources.values() for entry in _allocatable(resource)]
        return pb.AllocatableResourcesResponse(devices=devices)

    async def _limit(self, context: Context) -> None:
        if not self._bucket.take(_now()):
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "rejected by rate limit")

    def _pod(self, name: str) -> pb.PodResources:
        devices = [entry for grant in self._grants.of(name) for entry in _granted(grant)]
        container = pb.ContainerResources(name=CONTAINER, devices=devices)
        return pb.PodResources(name=name, namespace=NAMESPACE, containers=[container])


def _granted(grant: Grant) -> Iterator[pb.ContainerDevices]:
    for node, ids in grant.nodes.items():
        for id_ in ids:
            yield _entry(grant.resource, id_, node)


def _allocatable(resource: Resource) -> Iterator[pb.ContainerDevices]:
    for device in resource.devices.values():
        # A device whose topology names no node yields no entry; one without topology yields one.
        nodes: Sequence[int] = device.numa_nodes if device.numa_nodes or device.empty_topology else (NO_NODE,)
        for node in nodes if device.healthy else ():
            yield _entry(resource.name, device.id, node)


def _entry(resource: str, id_: str, node: int) -> pb.ContainerDevices:
    topology = None if node == NO_NODE else pb.TopologyInfo(nodes=[pb.NUMANode(ID=node)])
    return pb.ContainerDevices(resource_name=resource, device_ids=[id_], topology=topology)


def _now() -> float:
    return asyncio.get_running_loop().time()
