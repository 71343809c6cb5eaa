"""A device plugin for plugins_registry: one socket for both services, or the device plugin on a socket of its own."""

import asyncio
from pathlib import Path
from typing import Any

import grpc

from simulator.foreign_plugin import RESOURCE, ForeignPlugin, devices
from xpu_wire import pluginregistration_v1_pb2 as pb
from xpu_wire.deviceplugin_v1beta1_pb2_grpc import add_DevicePluginServicer_to_server
from xpu_wire.pluginregistration_v1_pb2_grpc import RegistrationServicer, add_RegistrationServicer_to_server


class RegistryPlugin(ForeignPlugin, RegistrationServicer):
    """Its `info` is what it tells, `outcomes` what it was told."""

    def __init__(self, directory: Path, *, endpoint: str = "card.sock", resource: str = RESOURCE) -> None:
        super().__init__(directory, resource=resource, endpoint=endpoint)
        self.path = directory / endpoint
        self.info = pb.PluginInfo(type="DevicePlugin", name=resource, supported_versions=["v1beta1"])
        self.outcomes: list[tuple[bool, str]] = []
        self.told = asyncio.Event()
        self._both: grpc.aio.Server | None = None

    async def appear(self, *ids: str) -> None:
        self.devices = devices(*ids)
        self.told.clear()
        self._both = grpc.aio.server()
        add_DevicePluginServicer_to_server(self, self._both)
        add_RegistrationServicer_to_server(self, self._both)
        self._both.add_insecure_port(f"unix:{self.path}")
        await self._both.start()

    async def vanish(self) -> None:
        """End, and the socket goes."""
        if self._both:
            await self._both.stop(None)

    async def until_told(self) -> tuple[bool, str]:
        async with asyncio.timeout(10):
            await self.told.wait()
        self.told.clear()
        return self.outcomes[-1]

    async def GetInfo(self, request: pb.InfoRequest, context: Any) -> pb.PluginInfo:
        await self._obey("GetInfo", context)
        return self.info

    async def NotifyRegistrationStatus(
        self, request: pb.RegistrationStatus, context: Any
    ) -> pb.RegistrationStatusResponse:
        self.outcomes.append((request.plugin_registered, request.error))
        self.told.set()
        await self._obey("NotifyRegistrationStatus", context)
        return pb.RegistrationStatusResponse()
