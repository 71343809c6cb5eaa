"""A sidecar's snapshots as looks at GPUs, and as facts for their containers."""

from collections.abc import Mapping

from xpu_plugins.gpu.environment import Facts
from xpu_plugins.gpu.health import Limits, Observation, Temperatures, observe
from xpu_plugins.gpu.health_settings import HealthSettings
from xpu_plugins.gpu.judges import Look
from xpu_shared.telemetry.kinds import TemperatureKind
from xpu_shared.telemetry.readings import DeviceReading, DeviceSnapshot


def limits(settings: HealthSettings) -> Limits:
    return Limits(
        celsius={
            TemperatureKind.GLOBAL: settings.temp_limit,
            TemperatureKind.GPU: settings.gpu_temp_limit,
            TemperatureKind.MEMORY: settings.memory_temp_limit,
        },
        hysteresis=settings.temp_hysteresis,
        ras_uncorrectable=settings.ras_uncorrectable_limit,
    )


class SidecarReader:
    """Of one source. It remembers the newest temperature of each sensor."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._temperatures: Mapping[str, Temperatures] = {}  # by PCI address

    def looks(self, snapshot: DeviceSnapshot, *, age: float, validity: float) -> dict[str, Look]:
        """What a snapshot says of each GPU, by PCI address.

        Args:
            age: seconds since it was made.
            validity: seconds that it is good for.
        """
        last = self._temperatures
        observations = {
            reading.pci_address: observe(
                reading, self._limits, last.get(reading.pci_address, {}), age=age, validity=validity
            )
            for reading in snapshot.devices
        }
        if snapshot.devices:
            self._temperatures = {address: seen.temperatures for address, seen in observations.items()}
        return {
            reading.pci_address: look(observations[reading.pci_address], uuid=reading.uuid, validity=validity)
            for reading in snapshot.devices
        }


def look(observation: Observation, *, uuid: str, validity: float) -> Look:
    """A GPU counts as known as long as its newest measurement is valid."""
    newest = min((finding.age for finding in observation.findings.values()), default=validity)
    return Look(
        findings=observation.findings,
        known_for=max(0.0, validity - newest),
        validity=validity,
        warnings=observation.warnings,
        uuid=uuid,
    )


def facts(snapshot: DeviceSnapshot) -> dict[str, Facts]:
    return {reading.pci_address: _facts(reading) for reading in snapshot.devices}


def _facts(reading: DeviceReading) -> Facts:
    # A card with one tile has no subdevice.
    tiles = None if reading.subdevices is None else max(1, reading.subdevices)
    return Facts(memory_bytes=reading.memory_bytes, uuid=reading.uuid, tiles=tiles)
