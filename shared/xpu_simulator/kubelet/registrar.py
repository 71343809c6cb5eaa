"""The kubelet's registration service: what plugins call on `kubelet.sock`."""

from collections.abc import Callable

import grpc

from xpu_simulator.kubelet.device_manager import DeviceManager, RegistrationError
from xpu_simulator.kubelet.events import Event, Registration
from xpu_wire import deviceplugin_v1beta1_pb2 as pb
from xpu_wire import deviceplugin_v1beta1_pb2_grpc as pb_grpc


class Registrar(pb_grpc.RegistrationServicer):
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
