"""What the sidecar publishes: the newest reading of each device, however the collector fares."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from xpu_shared.telemetry.kinds import Group
from xpu_shared.telemetry.readings import DeviceReading, DeviceSnapshot, GroupStatus
from xpu_sidecars.level_zero.reports import Count, Report

STARTING = "the library is being opened"


class Published:
    """Readings by PCI address, with the time they came. Times are monotonic seconds."""

    def __init__(self, version: str) -> None:
        self.hanging: frozenset[str] = frozenset()
        self.left_alone: frozenset[str] = frozenset()
        self.gone: frozenset[str] = frozenset()  # devices of which nothing shall be said any more
        self.counts: Mapping[tuple[str, Group], Count] = {}
        self.readings: dict[str, DeviceReading] = {}
        self._taken: dict[str, float] = {}
        self._addresses: frozenset[str] | None = None  # of the devices there are; None: not known yet
        self._frame = DeviceSnapshot(collector_version=version, unavailable=STARTING)

    @property
    def unavailable(self) -> str:
        """Why nothing is read now; empty: it is."""
        return self._frame.unavailable

    def take(self, report: Report, now: float) -> None:
        """A report of the collector at work: what it tells of is all there is."""
        for reading in report.snapshot.devices:
            self.readings[reading.pci_address] = reading
            self._taken[reading.pci_address] = now
        for address in self.readings.keys() - set(report.pci_addresses):
            del self.readings[address], self._taken[address]
        self.hanging, self.left_alone = frozenset(report.hanging), frozenset(report.left_alone)
        self._addresses = frozenset(report.pci_addresses)
        self.counts = report.counts
        self._frame = replace(report.snapshot, devices=(), collector_version=self._frame.collector_version)

    def trouble(self, reason: str) -> None:
        """Nothing is read now; what was read grows old."""
        self.hanging, self.left_alone = frozenset(), frozenset()
        self._frame = replace(self._frame, unavailable=reason, problems=(), wsl=None)

    def forget(self, gone: Collection[str]) -> None:
        """Say nothing of these devices, and later nothing old of them or of others at their places."""
        self.gone = frozenset(gone)
        for address in self.gone & self.readings.keys():
            del self.readings[address], self._taken[address]
        if self.gone:
            self.counts = {key: count for key, count in self.counts.items() if key[0] not in self.gone}

    @property
    def unread(self) -> frozenset[str]:
        """Devices that are there and have never been read."""
        return (self._addresses or frozenset()) - self.readings.keys() - self.gone

    @property
    def complete(self) -> bool:
        """Whether all is known that will be: of a device that is not read nothing comes soon."""
        return self._addresses is not None and self.unread <= self.hanging | self.left_alone

    @property
    def lost(self) -> frozenset[str]:
        """Devices that the library calls lost."""
        return frozenset(address for address, reading in self.readings.items() if reading.state.lost_rounds)

    def snapshot(self, now: float) -> DeviceSnapshot:
        """Everything that is known, each group with its age at `now`, without the devices that are gone."""
        return replace(
            self._frame,
            devices=tuple(
                aged(self.readings[address], now - self._taken[address])
                for address in sorted(self.readings)
                if address not in self.gone
            ),
        )


def aged(reading: DeviceReading, seconds: float) -> DeviceReading:
    """The reading so many seconds after it was taken."""
    groups = {group: _aged(status, seconds) for group, status in reading.groups.items()}
    return replace(reading, groups=groups)


def _aged(status: GroupStatus, seconds: float) -> GroupStatus:
    return status if status.age is None else GroupStatus(age=status.age + seconds, last_error=status.last_error)
