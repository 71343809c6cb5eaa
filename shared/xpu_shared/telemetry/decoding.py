"""Protobuf messages to readings. Messages come from outside: what cannot be is dropped and counted, value by value."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from google.protobuf.message import Message

from xpu_shared.telemetry import bounds, records
from xpu_shared.telemetry.bounds import (
    COLDEST,
    HOTTEST,
    LONGEST_REASON,
    MOST_COMPONENTS,
    MOST_DEVICES,
    MOST_DRIVERS,
    MOST_HERTZ,
    MOST_JOULES,
    MOST_PORTS,
    MOST_PROBLEMS,
    MOST_VOLTS,
    MOST_WATTS,
    text,
)
from xpu_shared.telemetry.fabric_messages import port_of
from xpu_shared.telemetry.kinds import Group
from xpu_shared.telemetry.readings import (
    DeviceReading,
    DeviceSnapshot,
    DeviceState,
    EngineGroup,
    Firmware,
    FrequencyDomain,
    GroupStatus,
    Indicator,
    PciLink,
    PowerDomain,
    SourceProblem,
    TemperatureSensor,
    WslDevices,
)
from xpu_wire import telemetry_pb2 as pb

T = TypeVar("T")
M = TypeVar("M", bound=Message)

MOST_REMEMBERED = 1024  # records: those of 64 GPUs that stay as they are
LARGEST_REMEMBERED = 2048  # bytes of one; of what is longer a reader takes only a part
PCI_ADDRESS = bounds.PCI_ADDRESS
ALL_GROUPS = frozenset(Group)
UNKNOWN_INDICATOR, UNKNOWN_STATE, UNKNOWN_LINK = Indicator(), DeviceState(), PciLink()


def hyphenated(number: bytes) -> str:
    """A UUID of 16 bytes as it is written."""
    digits = number.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class SnapshotReader:
    """Reads snapshots; `dropped` counts what of them could not be used, by reason."""

    topic = b"devices"

    def __init__(self, *, groups: frozenset[Group] = ALL_GROUPS) -> None:
        """`groups` are those whose components and status are read: to read what nobody asks for is most of the work."""
        self.dropped: Counter[str] = Counter()
        self._groups = groups
        self._remembered: dict[tuple[Callable[[Any], object], bytes], object] = {}

    def payload(self, message: pb.Envelope) -> DeviceSnapshot | None:
        """None when there is none in the message."""
        return self.snapshot(message.devices) if message.HasField("devices") else None

    def _record(self, read: Callable[[M], T], message: M) -> T:
        """What `read` makes of a message, from memory when it was the same before: most of a device stays as it is."""
        key = (read, message.SerializeToString())
        if len(key[1]) > LARGEST_REMEMBERED:
            return read(message)
        known = self._remembered.get(key)
        if known is None:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            known = self._remembered[key] = read(message)
        return known  # type: ignore[return-value]  # the key has the function that made it

    def snapshot(self, message: pb.DeviceSnapshot) -> DeviceSnapshot:
        return DeviceSnapshot(
            mode=records.word(records.MODES, message.mode),
            unavailable=text(message.unavailable, LONGEST_REASON),
            collector_version=text(message.collector_version),
            api_version=text(message.api_version),
            loader_version=text(message.loader_version),
            driver_versions=tuple(map(text, self._first(message.driver_versions, MOST_DRIVERS))),
            devices=self._devices(message.devices),
            problems=tuple(
                SourceProblem(subject=text(problem.subject), text=text(problem.text, LONGEST_REASON))
                for problem in self._first(message.problems, MOST_PROBLEMS)
            ),
            wsl=self._wsl(message.wsl) if message.HasField("wsl") else None,
        )

    def _first(self, values: Sequence[T], most: int = MOST_COMPONENTS) -> Sequence[T]:
        if len(values) <= most:
            return values
        self.dropped["too many"] += len(values) - most
        return values[:most]

    def _wsl(self, message: pb.WslDevices) -> WslDevices:
        return WslDevices(indices=tuple(self._first(message.indices, MOST_DEVICES)), hierarchy=text(message.hierarchy))

    def _devices(self, messages: Sequence[pb.Device]) -> tuple[DeviceReading, ...]:
        devices: dict[str, DeviceReading] = {}
        for message in self._first(messages, MOST_DEVICES):
            address = message.pci_address.lower() if len(message.pci_address) <= 16 else ""
            if not PCI_ADDRESS.fullmatch(address):
                self.dropped["device without address"] += 1
            elif address in devices:
                self.dropped["device twice"] += 1
            else:
                devices[address] = self._device(address, message)
        return tuple(devices.values())

    def _device(self, address: str, message: pb.Device) -> DeviceReading:
        wanted = self._groups
        return DeviceReading(
            pci_address=address,
            uuid=self._uuid(message.uuid),
            vendor_id=message.vendor_id if message.HasField("vendor_id") else None,
            device_id=message.device_id if message.HasField("device_id") else None,
            model=text(message.model),
            serial_number=text(message.serial_number),
            driver_version=text(message.driver_version),
            integrated=message.integrated if message.HasField("integrated") else None,
            subdevices=message.subdevices if message.HasField("subdevices") else None,
            memory_ok=self._record(records.indicator, message.memory_ok)
            if message.HasField("memory_ok")
            else UNKNOWN_INDICATOR,
            bus_ok=self._record(records.indicator, message.bus_ok) if message.HasField("bus_ok") else UNKNOWN_INDICATOR,
            soc_ok=self._record(records.indicator, message.soc_ok) if message.HasField("soc_ok") else UNKNOWN_INDICATOR,
            state=self._record(records.state, message.state) if message.HasField("state") else UNKNOWN_STATE,
            pci=self._record(records.pci, message.pci)
            if Group.PCI in wanted and message.HasField("pci")
            else UNKNOWN_LINK,
            memory=tuple([self._record(records.memory, module) for module in self._first(message.memory)])
            if Group.MEMORY in wanted
            else (),
            temperatures=tuple(map(self._temperature, self._first(message.temperatures)))
            if Group.TEMPERATURE in wanted
            else (),
            power=tuple(map(self._power, self._first(message.power))) if Group.POWER in wanted else (),
            frequencies=tuple(map(self._frequency, self._first(message.frequencies)))
            if Group.FREQUENCY in wanted
            else (),
            engines=tuple(map(self._engine, self._first(message.engines))) if Group.ENGINE in wanted else (),
            ras=tuple([self._record(records.ras, errors) for errors in self._first(message.ras)])
            if Group.RAS in wanted
            else (),
            firmwares=tuple(
                Firmware(name=text(firmware.name), version=text(firmware.version))
                for firmware in self._first(message.firmwares)
            )
            if Group.FIRMWARE in wanted
            else (),
            fabric_ports=tuple(
                port
                for one in self._first(message.fabric_ports, MOST_PORTS)
                if (port := port_of(one, self.dropped)) is not None
            )
            if Group.FABRIC in wanted
            else (),
            groups=self._statuses(self._first(message.groups)),
        )

    def _uuid(self, number: bytes) -> str:
        if len(number) == 16:
            return hyphenated(number)
        if number:
            self.dropped["implausible value"] += 1
        return ""

    def _statuses(self, messages: Sequence[pb.GroupStatus]) -> dict[Group, GroupStatus]:
        statuses: dict[Group, GroupStatus] = {}
        for message in messages:
            group = records.word(records.GROUPS, message.group)
            if group is not Group.UNSPECIFIED and group in self._groups:  # unspecified: of a newer version
                statuses[group] = records.status(message)
        return statuses

    def _measured(self, value: int, unit: int, least: float, most: float) -> float | None:
        """A measurement of the wire's integer unit; None, and counted, when it is not plausible."""
        measured = value / unit
        if least <= measured <= most:
            return measured
        self.dropped["implausible value"] += 1
        return None

    def _hertz(self, value: int) -> int | None:
        if value <= MOST_HERTZ:
            return value
        self.dropped["implausible value"] += 1
        return None

    def _celsius(self, value: int) -> float | None:
        return self._measured(value, 1000, COLDEST, HOTTEST)

    def _watts(self, value: int) -> float | None:
        return self._measured(value, 1000, 0, MOST_WATTS)

    def _ratio(self, value: int) -> float | None:
        return self._measured(value, 1_000_000, 0, 1)

    def _temperature(self, message: pb.TemperatureSensor) -> TemperatureSensor:
        return TemperatureSensor(
            kind=records.word(records.TEMPERATURE_KINDS, message.kind),
            subdevice=message.subdevice if message.HasField("subdevice") else None,
            celsius=self._celsius(message.millicelsius) if message.HasField("millicelsius") else None,
            max_celsius=self._celsius(message.max_millicelsius) if message.HasField("max_millicelsius") else None,
        )

    def _power(self, message: pb.PowerDomain) -> PowerDomain:
        return PowerDomain(
            kind=records.word(records.POWER_KINDS, message.kind),
            subdevice=message.subdevice if message.HasField("subdevice") else None,
            watts=self._watts(message.milliwatts) if message.HasField("milliwatts") else None,
            energy_joules=self._measured(message.energy_microjoules, 1_000_000, 0, MOST_JOULES)
            if message.HasField("energy_microjoules")
            else None,
            sustained_limit_watts=self._watts(message.sustained_limit_milliwatts)
            if message.HasField("sustained_limit_milliwatts")
            else None,
            burst_limit_watts=self._watts(message.burst_limit_milliwatts)
            if message.HasField("burst_limit_milliwatts")
            else None,
            peak_limit_watts=self._watts(message.peak_limit_milliwatts)
            if message.HasField("peak_limit_milliwatts")
            else None,
        )

    def _frequency(self, message: pb.FrequencyDomain) -> FrequencyDomain:
        return FrequencyDomain(
            kind=records.word(records.FREQUENCY_KINDS, message.kind),
            subdevice=message.subdevice if message.HasField("subdevice") else None,
            actual_hertz=self._hertz(message.actual_hertz) if message.HasField("actual_hertz") else None,
            requested_hertz=self._hertz(message.requested_hertz) if message.HasField("requested_hertz") else None,
            min_hertz=self._hertz(message.min_hertz) if message.HasField("min_hertz") else None,
            max_hertz=self._hertz(message.max_hertz) if message.HasField("max_hertz") else None,
            volts=self._measured(message.millivolts, 1000, 0, MOST_VOLTS) if message.HasField("millivolts") else None,
            throttle_reasons=records.throttle_reasons(message.throttle_reasons)
            if message.HasField("throttle_reasons")
            else None,
            throttled_ratio=self._ratio(message.throttled_ppm) if message.HasField("throttled_ppm") else None,
        )

    def _engine(self, message: pb.EngineGroup) -> EngineGroup:
        return EngineGroup(
            kind=records.word(records.ENGINE_KINDS, message.kind),
            subdevice=message.subdevice if message.HasField("subdevice") else None,
            utilisation=self._ratio(message.utilisation_ppm) if message.HasField("utilisation_ppm") else None,
        )
