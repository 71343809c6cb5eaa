"""The series of GPUs. A value that is not known has none, nor has a device that is gone; names are in `families.py`."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from xpu_shared.kubelet.holders import Holder
from xpu_shared.program.exposition import Series, labels_text
from xpu_shared.telemetry.kinds import MemoryHealth, MemoryLocation, ThrottleReason
from xpu_shared.telemetry.readings import (
    DeviceReading,
    DeviceSnapshot,
    EngineGroup,
    FrequencyDomain,
    MemoryModule,
    PowerDomain,
    TemperatureSensor,
)
from xpu_sidecars.level_zero import families
from xpu_sidecars.level_zero.attribution import Attribution
from xpu_sidecars.level_zero.condition import Condition, condition

Component = TypeVar("Component", TemperatureSensor, PowerDomain, FrequencyDomain, EngineGroup, MemoryModule)

STATES = (Condition.OK, Condition.DEGRADED, Condition.FAILED)
# Not left out: Prometheus would put the sidecar's own pod there, where its discovery gives targets such labels.
NO_POD = 'namespace="",pod="",container=""'
MEMORY_STATES = tuple(health for health in MemoryHealth if health is not MemoryHealth.UNKNOWN)


def series(
    snapshot: DeviceSnapshot,
    attribution: Attribution,
    *,
    present: frozenset[str],
    taken: float,
    holders_known: float | None,
    interval: float,
    after_each: Callable[[], None] = lambda: None,
) -> Series:
    """All that is said of the GPUs.

    Args:
        present: PCI addresses of the GPUs that the kernel has.
        taken: when the snapshot was put together, Unix seconds.
        holders_known: when the attribution was true, Unix seconds; None: never, or nobody asks.
        interval: seconds between samples.
        after_each: called after each device, to let others work.
    """
    found = Series()
    found.add(families.SNAPSHOT, "", taken)
    found.add(families.HOLDERS, "", holders_known)
    for device in snapshot.devices:
        labels = labels_text({"pci_bdf": device.pci_address, "hw_id": device.uuid})
        holder = attribution.exclusive.get(device.pci_address)
        _device(found, device, f"{labels},{labels_text(_who(holder)) if holder else NO_POD}", interval)
        ages = [status.age for status in device.groups.values() if status.age is not None]
        if ages:
            found.add(families.SAMPLE, labels_text({"pci_bdf": device.pci_address}), round(taken - min(ages), 3))
        after_each()
    shown = present | {device.pci_address for device in snapshot.devices}
    for share in attribution.shares:
        if share.pci_address in shown:
            labels = labels_text({"pci_bdf": share.pci_address, **_who(share.holder), "resource": share.resource})
            found.add(families.ALLOCATION, labels, 1)
    return found


def _who(holder: Holder) -> dict[str, object]:
    return {"namespace": holder.namespace, "pod": holder.pod, "container": holder.container}


def _device(found: Series, device: DeviceReading, labels: str, interval: float) -> None:
    _identity(found, device, labels)
    state = condition(device, interval=interval)
    if state is not Condition.UNKNOWN:
        for word in STATES:
            found.add(families.STATUS, f'{labels},hw_type="gpu",hw_state="{word}"', int(word is state))
    for where, sensor in placed(device.temperatures):
        found.add(families.TEMPERATURE, labels + where, sensor.celsius)
        found.add(families.TEMPERATURE_LIMIT, labels + where, sensor.max_celsius)
    for where, domain in placed(device.power):
        _power(found, domain, labels + where)
    for where, frequency in placed(device.frequencies):
        _frequency(found, frequency, labels + where)
    for where, engine in placed(device.engines, name="hw_gpu_task"):
        found.add(families.UTILIZATION, labels + where, engine.utilisation)
    for where, module in placed(device.memory, name="type"):
        _memory(found, module, labels + where)
    _errors(found, device, labels)
    _pci(found, device, labels)


def placed(components: Sequence[Component], *, name: str = "location") -> Iterator[tuple[str, Component]]:
    """Each component with the labels that say where it is."""
    places = [labels_text({"subdevice_id": component.subdevice, name: component.kind}) for component in components]
    for where, component in zip(numbered(places), components, strict=True):
        yield f",{where}", component


def numbered(labels: Sequence[str]) -> Iterator[str]:
    """The same labels, with an index where some are alike: no page may have a series twice."""
    times, before = Counter(labels), Counter[str]()
    for text in labels:
        yield f'{text},index="{before[text]}"' if times[text] > 1 else text
        before[text] += 1


def _identity(found: Series, device: DeviceReading, labels: str) -> None:
    about = {
        "hw_model": device.model,
        "hw_serial_number": device.serial_number,
        "hw_vendor": "Intel" if device.vendor_id == 0x8086 else "",
        "pci_vendor_id": None if device.vendor_id is None else f"{device.vendor_id:04x}",
        "pci_device_id": None if device.device_id is None else f"{device.device_id:04x}",
        "driver_version": device.driver_version,
        "subdevice_count": device.subdevices,
        "integrated": None if device.integrated is None else str(device.integrated).lower(),
    }
    text = labels_text(about)
    found.add(families.INFO, f"{labels},{text}" if text else labels, 1)
    for firmware in dict.fromkeys(device.firmwares):
        found.add(families.FIRMWARE, f"{labels},{labels_text({'name': firmware.name, 'version': firmware.version})}", 1)


def _power(found: Series, domain: PowerDomain, labels: str) -> None:
    found.add(families.POWER, labels, domain.watts)
    found.add(families.ENERGY, labels, domain.energy_joules)
    found.add(families.POWER_LIMIT, f'{labels},hw_limit_type="sustained"', domain.sustained_limit_watts)
    found.add(families.POWER_LIMIT, f'{labels},hw_limit_type="burst"', domain.burst_limit_watts)
    found.add(families.POWER_LIMIT, f'{labels},hw_limit_type="peak"', domain.peak_limit_watts)


def _frequency(found: Series, domain: FrequencyDomain, labels: str) -> None:
    found.add(families.FREQUENCY, labels, domain.actual_hertz)
    found.add(families.FREQUENCY_REQUEST, labels, domain.requested_hertz)
    found.add(families.FREQUENCY_LIMIT, f'{labels},hw_limit_type="min"', domain.min_hertz)
    found.add(families.FREQUENCY_LIMIT, f'{labels},hw_limit_type="max"', domain.max_hertz)
    found.add(families.VOLTAGE, labels, domain.volts)
    if domain.throttle_reasons is not None:
        for reason in ThrottleReason:
            found.add(families.THROTTLED, f'{labels},reason="{reason}"', int(reason in domain.throttle_reasons))
    found.add(families.THROTTLED_RATIO, labels, domain.throttled_ratio)


def _memory(found: Series, module: MemoryModule, labels: str) -> None:
    if module.location is not MemoryLocation.UNKNOWN:
        labels = f'{labels},location="{module.location}"'
    found.add(families.MEMORY_SIZE, labels, module.size_bytes or module.physical_bytes or None)
    found.add(families.MEMORY_USAGE, labels, module.used_bytes)
    found.add(families.MEMORY_FREE, labels, module.free_bytes)
    found.add(families.MEMORY_IO, f'{labels},direction="read"', module.read_bytes)
    found.add(families.MEMORY_IO, f'{labels},direction="write"', module.written_bytes)
    found.add(families.MEMORY_BANDWIDTH, labels, module.max_bytes_per_second)
    if module.health is not MemoryHealth.UNKNOWN:
        for word in MEMORY_STATES:
            found.add(families.STATUS, f'{labels},hw_type="memory",hw_state="{word}"', int(word is module.health))


def _errors(found: Series, device: DeviceReading, labels: str) -> None:
    places = [labels_text({"subdevice_id": errors.subdevice, "error_type": errors.severity}) for errors in device.ras]
    for where, errors in zip(numbered(places), device.ras, strict=True):
        for category, value in errors.counts.items():
            name = category.removesuffix("_errors")
            found.add(families.ERRORS, f'{labels},hw_type="gpu",{where},error_category="{name}"', value)


def _pci(found: Series, device: DeviceReading, labels: str) -> None:
    link = device.pci
    found.add(families.PCI_IO, f'{labels},network_io_direction="receive"', link.received_bytes)
    found.add(families.PCI_IO, f'{labels},network_io_direction="transmit"', link.transmitted_bytes)
    found.add(families.PCI_BANDWIDTH, labels, link.bytes_per_second)
    found.add(families.PCI_REPLAYS, labels, link.replays)
    for family, now, most in (
        (families.PCI_GENERATION, link.generation, link.max_generation),
        (families.PCI_LANES, link.lanes, link.max_lanes),
    ):
        found.add(family, f'{labels},limit="now"', now)
        found.add(family, f'{labels},limit="max"', most)
