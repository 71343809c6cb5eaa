"""The PCI link: its state, its speed, and what went over it."""

from collections.abc import Sequence
from ctypes import byref

from xpu_shared.telemetry.kinds import LinkStatus
from xpu_shared.telemetry.readings import PciLink
from xpu_sidecars.level_zero.calls import Calls
from xpu_sidecars.level_zero.device_structures import PciProperties, PciState, PciStats
from xpu_sidecars.level_zero.formulas import per_second
from xpu_sidecars.level_zero.groups.component import DeviceHandle, Rate, kind_of

STATUSES = (LinkStatus.UNKNOWN, LinkStatus.GOOD, LinkStatus.QUALITY_ISSUES, LinkStatus.STABILITY_ISSUES)
REPLAYS, SPEED = 1, 2  # quality issues
RETRAINING = 1  # a stability issue


class Pci:
    def __init__(self, devices: Sequence[DeviceHandle]) -> None:
        self._handle = devices[0].handle  # tiles of one card have one link
        self._described = False
        self._properties = PciProperties()
        self._state = PciState()
        self._stats = PciStats()
        self._rate = Rate(per_second)

    def sample(self, calls: Calls) -> PciLink:
        properties, state, stats = self._properties, self._state, self._stats
        if not self._described:
            self._described = calls.ask("zesDevicePciGetProperties", self._handle, byref(properties))
        alive = calls.ask("zesDevicePciGetState", self._handle, byref(state))
        counts = properties.haveBandwidthCounters or properties.haveReplayCounters
        counted = bool(counts) and calls.ask_for_more("zesDevicePciGetStats", self._handle, byref(stats))
        bandwidth = counted and bool(properties.haveBandwidthCounters)
        throughput = self._rate.of(calls, stats.rxCounter + stats.txCounter, stats.timestamp) if bandwidth else None
        speed, most = state.speed, properties.maxSpeed
        return PciLink(
            status=kind_of(STATUSES, state.status, LinkStatus.UNKNOWN) if alive else LinkStatus.UNKNOWN,
            replay_issues=bool(state.qualityIssues & REPLAYS) if alive else None,
            speed_issues=bool(state.qualityIssues & SPEED) if alive else None,
            retraining_issues=bool(state.stabilityIssues & RETRAINING) if alive else None,
            generation=_known(speed.gen) if alive else None,
            lanes=_known(speed.width) if alive else None,
            bytes_per_second=_known(speed.maxBandwidth) if alive else None,
            max_generation=_known(most.gen),
            max_lanes=_known(most.width),
            max_bytes_per_second=_known(most.maxBandwidth),
            received_bytes=stats.rxCounter if bandwidth else None,
            transmitted_bytes=stats.txCounter if bandwidth else None,
            replays=stats.replayCounter if counted and properties.haveReplayCounters else None,
            throughput_bytes_per_second=throughput,
        )


def _known(value: int) -> int | None:
    """The library tells what it does not know by -1, or leaves 0."""
    return value if value > 0 else None
