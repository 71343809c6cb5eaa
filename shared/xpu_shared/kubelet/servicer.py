"""The device plugin service of one resource: RPCs to values and back. It holds no device and takes no decision."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, NoReturn, TypeVar

import grpc

from xpu_shared import allocation as grants
from xpu_shared.allocation import AllocationError
from xpu_shared.cdi import CdiDirectory, CdiError
from xpu_shared.counters import ResourceCounters
from xpu_shared.device import CdiDevice
from xpu_shared.inventory import Inventory, Snapshot
from xpu_shared.kubelet.messages import allocation_message, list_message
from xpu_shared.kubelet.streams import Streams
from xpu_shared.plugin import ActsBeforeStart, OnlyCounts, Plugin, PrefersDevices, PreparesAllocations
from xpu_shared.program.logs import Log
from xpu_shared.threads import in_daemon_thread
from xpu_wire import deviceplugin_v1beta1_pb2 as pb
from xpu_wire.deviceplugin_v1beta1_pb2_grpc import DevicePluginServicer

if TYPE_CHECKING:
    from grpc.aio import ServicerContext

    Context = ServicerContext[object, object]

T = TypeVar("T")
MANY_DEVICES = 1000  # a list of so many takes 2 ms
LONGEST_DETAILS = 1000  # characters of an error's text; gRPC carries it in a header

STATUS = {
    grants.InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    grants.UnknownDeviceError: grpc.StatusCode.NOT_FOUND,
    grants.UnhealthyDeviceError: grpc.StatusCode.FAILED_PRECONDITION,
    grants.ConflictError: grpc.StatusCode.INTERNAL,
    CdiError: grpc.StatusCode.INTERNAL,
}

log = Log("kubelet")


class Servicer(DevicePluginServicer):
    def __init__(
        self,
        plugin: Plugin,
        device_type: str,
        *,
        inventory: Inventory,
        cdi: CdiDirectory,
        counters: ResourceCounters,
        streams: Streams,
        device_list: str,
        on_allocated: Callable[[], None],
    ) -> None:
        self._plugin = plugin
        self._device_list = device_list
        self._on_allocated = on_allocated
        self._device_type = device_type
        self._resource = f"{plugin.namespace}/{device_type}"
        self._inventory = inventory
        self._cdi = cdi
        self._counters = counters
        self._streams = streams
        self._ids_only_count = isinstance(plugin, OnlyCounts) and plugin.ids_only_count
        self._warned = ""

    async def GetDevicePluginOptions(self, request: pb.Empty, context: "Context") -> pb.DevicePluginOptions:
        return options(self._plugin)

    async def ListAndWatch(
        self, request: pb.Empty, context: "Context"
    ) -> AsyncGenerator[pb.ListAndWatchResponse, None]:
        changed = asyncio.Event()
        sent = 0
        with self._streams.opened(changed.set), self._inventory.listening(self._device_type, changed.set):
            while not self._streams.closing:
                changed.clear()
                snapshot = self._inventory.snapshot(self._device_type)
                if snapshot.version > sent:
                    sent = snapshot.version
                    self._counters.lists_sent += 1
                    log.verbose(4, "sends a list", resource=self._resource, devices=len(snapshot.devices))
                    yield await self._list(snapshot)
                else:
                    await changed.wait()

    async def _list(self, snapshot: Snapshot) -> pb.ListAndWatchResponse:
        """The message; one with many devices is made in a thread, while the event loop serves others."""
        if len(snapshot.devices) <= MANY_DEVICES:
            return list_message(snapshot.devices.values())
        return await in_daemon_thread(lambda: list_message(snapshot.devices.values()), name=f"list of {self._resource}")

    async def Allocate(self, request: pb.AllocateRequest, context: "Context") -> pb.AllocateResponse:
        return await self._answer("Allocate", context, self._allocate(request))

    async def _allocate(self, request: pb.AllocateRequest) -> pb.AllocateResponse:
        responses = [await self._container(list(asked.devices_ids)) for asked in request.container_requests]
        self._on_allocated()
        return pb.AllocateResponse(container_responses=responses)

    async def _container(self, ids: Sequence[str]) -> pb.ContainerAllocateResponse:
        devices = grants.grant(
            self._resource, self._inventory.snapshot(self._device_type), ids, ids_only_count=self._ids_only_count
        )
        allocation = grants.compose(self._resource, devices, device_list=self._device_list)
        named = [device.cdi for device in devices if device.cdi and device.cdi.qualified_name in allocation.cdi_names]
        outdated = [device for device in named if not self._cdi.has(device)]
        if outdated:
            await in_daemon_thread(lambda: self._ensure(outdated), name=f"CDI files of {self._resource}")
        plugin = self._plugin
        if isinstance(plugin, PreparesAllocations):
            composed = allocation
            allocation = await in_daemon_thread(
                lambda: plugin.prepare(self._device_type, ids, composed), name=f"prepare {self._resource}"
            )
        log.verbose(1, "allocated", resource=self._resource, devices=",".join(ids))
        return allocation_message(allocation)

    def _ensure(self, devices: Sequence[CdiDevice]) -> None:
        for device in devices:
            self._cdi.ensure(device)

    async def GetPreferredAllocation(
        self, request: pb.PreferredAllocationRequest, context: "Context"
    ) -> pb.PreferredAllocationResponse:
        return await self._answer("GetPreferredAllocation", context, self._preferred(request))

    async def _preferred(self, request: pb.PreferredAllocationRequest) -> pb.PreferredAllocationResponse:
        def choose() -> list[Sequence[str]]:
            return [
                self._preference(asked.available_deviceIDs, asked.must_include_deviceIDs, asked.allocation_size)
                for asked in request.container_requests
            ]

        chosen = await in_daemon_thread(choose, name=f"preference {self._resource}")
        responses = [pb.ContainerPreferredAllocationResponse(deviceIDs=ids) for ids in chosen]
        return pb.PreferredAllocationResponse(container_responses=responses)

    def _preference(self, available: Sequence[str], must_include: Sequence[str], size: int) -> Sequence[str]:
        """The plugin's choice, or none: it is advice, and an error would fail the pod."""
        available, must_include = list(dict.fromkeys(available)), list(dict.fromkeys(must_include))
        problem = grants.preference_problem(available, must_include, size)
        if problem is None and isinstance(self._plugin, PrefersDevices):
            try:
                chosen = self._plugin.prefer(self._device_type, available, must_include, size)
            except Exception as error:  # noqa: BLE001 - a plugin's mistake must not fail pods
                problem = f"the plugin's preference failed: {error!r}"
            else:
                if grants.answers(chosen, available, must_include, size):
                    return chosen
                problem = f"the plugin's preference {list(chosen)[:8]} does not answer the request"
        self._warn(problem or "the plugin has no preferences")
        return ()

    def _warn(self, problem: str) -> None:
        if problem != self._warned:
            self._warned = problem
            log.warning("no preferred allocation", resource=self._resource, reason=problem)

    async def PreStartContainer(
        self, request: pb.PreStartContainerRequest, context: "Context"
    ) -> pb.PreStartContainerResponse:
        return await self._answer("PreStartContainer", context, self._before_start(list(request.devices_ids)))

    async def _before_start(self, ids: Sequence[str]) -> pb.PreStartContainerResponse:
        plugin = self._plugin
        if isinstance(plugin, ActsBeforeStart):
            await in_daemon_thread(
                lambda: plugin.before_start(self._device_type, ids), name=f"before start {self._resource}"
            )
        return pb.PreStartContainerResponse()

    async def _answer(self, method: str, context: "Context", work: Awaitable[T]) -> T:
        """Do the work of one call; count it; turn an error into a status whose text names resource and reason."""
        started = perf_counter()
        code = grpc.StatusCode.CANCELLED
        try:
            result = await work
            code = grpc.StatusCode.OK
        except (AllocationError, CdiError) as error:
            code = STATUS[type(error)]
            await self._refuse(method, context, code, str(error))
        except Exception as error:  # noqa: BLE001 - a plugin's mistake costs this call alone
            code = grpc.StatusCode.INTERNAL
            await self._refuse(method, context, code, f"{self._resource}: {error!r}")
        finally:
            self._counters.called(method, code.name, perf_counter() - started)
        return result

    async def _refuse(self, method: str, context: "Context", code: grpc.StatusCode, details: str) -> NoReturn:
        log.warning("refused a call", method=method, resource=self._resource, code=code.name, reason=details)
        await context.abort(code, details[:LONGEST_DETAILS])


def options(plugin: Plugin) -> pb.DevicePluginOptions:
    """What the plugin can do, as the kubelet wants to know it."""
    return pb.DevicePluginOptions(
        pre_start_required=isinstance(plugin, ActsBeforeStart),
        get_preferred_allocation_available=isinstance(plugin, PrefersDevices),
    )
