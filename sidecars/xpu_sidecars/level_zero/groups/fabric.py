"""Ports of the fabric that joins GPUs: where they lead, how they are, and what went over them."""

from collections.abc import Sequence
from ctypes import byref

from xpu_shared.telemetry.fabric import End, Port, PortId, PortStatus
from xpu_sidecars.level_zero.calls import Calls
from xpu_sidecars.level_zero.component_structures import (
    FabricPortConfig,
    FabricPortErrorCounters,
    FabricPortId,
    FabricPortProperties,
    FabricPortState,
    FabricPortThroughput,
)
from xpu_sidecars.level_zero.groups.component import Components, DeviceHandle, kind_of, place
from xpu_sidecars.level_zero.library import string

STATUSES = (
    PortStatus.UNKNOWN,
    PortStatus.HEALTHY,
    PortStatus.DEGRADED,
    PortStatus.FAILED,
    PortStatus.DISABLED,
)
CONNECTED = (PortStatus.HEALTHY, PortStatus.DEGRADED)  # the remote port is told in these only


class _Port:
    def __init__(self, handle: int, subdevice: int | None, pci_address: str) -> None:
        self.described = False
        self._handle = handle
        self._subdevice = subdevice
        self._address = pci_address
        self._properties = FabricPortProperties()
        self._state = FabricPortState()
        self._config = FabricPortConfig()
        self._throughput = FabricPortThroughput()
        self._errors = FabricPortErrorCounters()

    def describe(self, calls: Calls) -> bool:
        self.described = calls.ask("zesFabricPortGetProperties", self._handle, byref(self._properties))
        return self.described

    def read(self, calls: Calls) -> Port:
        handle, properties, state = self._handle, self._properties, self._state
        alive = calls.ask("zesFabricPortGetState", handle, byref(state))
        configured = calls.ask_for_more("zesFabricPortGetConfig", handle, byref(self._config))
        status = kind_of(STATUSES, state.status, PortStatus.UNKNOWN) if alive else PortStatus.UNKNOWN
        if configured and not self._config.enabled:
            status = PortStatus.DISABLED
        moved = calls.ask_for_more("zesFabricPortGetThroughput", handle, byref(self._throughput))
        counted = calls.ask_for_more("zesFabricPortGetFabricErrorCounters", handle, byref(self._errors))
        tile = place(properties, self._subdevice)
        return Port(
            place=End(self._address, tile or 0, tile is None),
            id=_id(properties.portId),
            model=string(properties.model),
            status=status,
            quality_issues=state.qualityIssues if alive else None,
            failure_reasons=state.failureReasons if alive else None,
            remote=_id(state.remotePortId) if status in CONNECTED else None,
            receive_lanes=_known(properties.maxRxSpeed.width),
            transmit_lanes=_known(properties.maxTxSpeed.width),
            receive_bits_per_second=_known(properties.maxRxSpeed.bitRate),
            transmit_bits_per_second=_known(properties.maxTxSpeed.bitRate),
            received_bytes=self._throughput.rxCounter if moved else None,
            transmitted_bytes=self._throughput.txCounter if moved else None,
            link_failures=self._errors.linkFailureCount if counted else None,
            firmware_communication_errors=self._errors.fwCommErrorCount if counted else None,
            firmware_errors=self._errors.fwErrorCount if counted else None,
            link_degradations=self._errors.linkDegradeCount if counted else None,
        )


class FabricPorts:
    def __init__(self, devices: Sequence[DeviceHandle], pci_address: str) -> None:
        self._ports = Components(
            "zesDeviceEnumFabricPorts", devices, lambda handle, tile: _Port(handle, tile, pci_address)
        )

    def sample(self, calls: Calls) -> tuple[Port, ...]:
        return tuple(port.read(calls) for port in self._ports.ready(calls))


def _id(id_: FabricPortId) -> PortId:
    return PortId(id_.fabricId, id_.attachId, id_.portNumber)


def _known(value: int) -> int | None:
    """The library tells what it does not know by -1."""
    return value if value >= 0 else None
