"""Says in the log what changes: why nothing is read, what is wrong with a device, what the driver does not tell."""

from collections.abc import Iterator

from xpu_shared.program.logs import Changes, Log
from xpu_shared.telemetry.kinds import Verdict
from xpu_shared.telemetry.readings import DeviceReading, DeviceSnapshot, Indicator
from xpu_sidecars.level_zero.published import STARTING
from xpu_sidecars.level_zero.results import Meaning, meaning

log = Log("level-zero")


class Sayer:
    """One line for each thing that comes or goes, none for each sample."""

    def __init__(self) -> None:
        self._troubles = Changes()
        self._absences = Changes()
        self._unavailable: str | None = None
        self._devices: tuple[str, ...] | None = None

    def say(self, snapshot: DeviceSnapshot) -> None:
        if snapshot.unavailable == STARTING:
            return
        if snapshot.unavailable != self._unavailable:
            self._unavailable = snapshot.unavailable
            if snapshot.unavailable:
                log.warning("nothing is read", reason=snapshot.unavailable)
            else:
                log.info("reads the library", mode=snapshot.mode, driver=",".join(snapshot.driver_versions))
        if snapshot.unavailable:
            return  # what was last read is not read anew
        devices = tuple(device.pci_address for device in snapshot.devices)
        if devices != self._devices:
            self._devices = devices
            log.info("devices", count=len(devices), addresses=",".join(devices))
        change = self._troubles.report(troubles(snapshot))
        for text in change.new:
            log.warning(text)
        for text in change.gone:
            log.info("no longer", text=text)
        if change.more:
            log.warning("more changes than are shown", count=change.more)
        for text in self._absences.report(absences(snapshot)).new:
            log.verbose(1, text)


def troubles(snapshot: DeviceSnapshot) -> Iterator[str]:
    for problem in snapshot.problems:
        yield f"{problem.subject}: {problem.text}"
    for device in snapshot.devices:
        yield from failures(device)
        for group, status in device.groups.items():
            error = status.last_error
            if error and meaning(error.code) not in (Meaning.PERMANENT, Meaning.PRIVILEGE, Meaning.SKIP):
                yield f"{device.pci_address}: {group}: {error.text}"


def failures(device: DeviceReading) -> Iterator[str]:
    """What is known to be broken."""
    indicators: dict[str, Indicator] = {"memory": device.memory_ok, "bus": device.bus_ok, "SoC": device.soc_ok}
    for name, indicator in indicators.items():
        if indicator.verdict is Verdict.FAILED:
            yield f"{device.pci_address}: {name} failed: {indicator.reason}"


def absences(snapshot: DeviceSnapshot) -> Iterator[str]:
    """What a device or its driver does not have, which is normal."""
    for device in snapshot.devices:
        for group, status in device.groups.items():
            if status.last_error and meaning(status.last_error.code) is Meaning.PERMANENT:
                yield f"{device.pci_address}: no {group}: {status.last_error.text}"
