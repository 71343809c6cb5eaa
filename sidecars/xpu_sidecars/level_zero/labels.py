"""The labels that a node gets for its GPUs. A function of values."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from xpu_shared.labels.values import fitting
from xpu_shared.telemetry.readings import DeviceReading, DeviceSnapshot
from xpu_sidecars.level_zero.condition import Condition, condition, worst

FILE_NAME = "xpu-level-zero.txt"
MEMORY = "memory.max"
OWN = "xpu-"
LONGEST_NAME = 40  # characters of a firmware's name, which is part of a label's


def labels(
    snapshot: DeviceSnapshot,
    *,
    unread: Collection[str] = (),
    cards: Mapping[int, str],
    namespace: str,
    interval: float,
) -> dict[str, str]:
    """Labels by name, in the order in which they are written.

    Args:
        unread: PCI addresses of devices that are there and have never told anything.
        cards: PCI addresses by card number; a device without a card has no labels of its own.
        interval: seconds between samples.
    """
    devices = {device.pci_address: device for device in snapshot.devices}
    states = {address: condition(device, interval=interval) for address, device in devices.items()}
    states |= dict.fromkeys(unread, Condition.UNKNOWN)
    found = {
        **({} if unread else _memory(snapshot.devices)),
        "xpu-model": together(device.model for device in snapshot.devices),
        "xpu-driver-version": together(device.driver_version for device in snapshot.devices),
        **_firmwares(snapshot.devices),
        "xpu-health": str(worst(states.values())) if states else "",
    }
    for card, address in cards.items():
        if address in devices:
            found[f"xpu-card{card}.memory"] = str(devices[address].memory_bytes or "")
        if address in states:
            found[f"xpu-card{card}.health"] = str(states[address])
    return {f"{namespace}/{name}": value for name, value in found.items() if value}


def together(values: Iterable[str]) -> str:
    """One value for what devices may differ in: each once, in order."""
    return fitting("_".join(sorted(set(values) - {""})))


def _memory(devices: Sequence[DeviceReading]) -> dict[str, str]:
    """The sum, unless a card's part of it is missing: a scheduler would take it for the whole."""
    if any(device.integrated is False and device.memory_bytes is None for device in devices):
        return {}
    total = sum(device.memory_bytes or 0 for device in devices)
    return {MEMORY: str(total)} if total else {}


def _firmwares(devices: Sequence[DeviceReading]) -> dict[str, str]:
    versions: dict[str, set[str]] = {}
    for device in devices:
        for firmware in device.firmwares:
            versions.setdefault(fitting(firmware.name)[:LONGEST_NAME].rstrip("_.-"), set()).add(firmware.version)
    return {f"xpu-firmware.{name}": together(versions[name]) for name in sorted(versions) if name}


def is_own(namespace: str) -> Callable[[str], bool]:
    """Whether a node's label is one that this sidecar writes, now or in an earlier life."""
    return lambda key: key.startswith(f"{namespace}/{OWN}") or key == f"{namespace}/{MEMORY}"
