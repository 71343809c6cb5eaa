"""The NPU plugin as the framework runs it."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from xpu_plugins.npu.health import Reset, Resets, counted, held_off_for, is_reset, reason
from xpu_plugins.npu.measurements import Busy, measure
from xpu_plugins.npu.scan import CDI_KIND, devices, scan
from xpu_plugins.npu.settings import NpuSettings
from xpu_shared.device import Problem, ScanResult
from xpu_shared.kernel.uevents import Uevent
from xpu_shared.measurement import Gauge

DEVICE_TYPE = "accel"
MOST_RESETS = 1000  # between two scans; of more the first are forgotten


class NpuPlugin:
    namespace = "npu.intel.com"
    subsystems = frozenset({"accel", "pci"})
    cdi_kinds = (CDI_KIND,)

    def __init__(self, settings: NpuSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._heard: deque[Reset] = deque(maxlen=MOST_RESETS)  # filled by the event loop, emptied by scans
        self._resets: Mapping[str, Resets] = {}  # by devpath; replaced by scans, of which there is one at a time
        self._names: Sequence[str] = ()  # of the NPUs of the last scan
        self._busy: Mapping[str, Busy] = {}  # when the metrics page was made last

    @property
    def watched_directories(self) -> Sequence[Path]:
        return (self._settings.dev_root / "accel",)

    def heard(self, event: Uevent) -> None:
        if is_reset(event):
            self._heard.append(Reset(event.devpath, self._clock()))

    def scan(self) -> ScanResult:
        problems: list[Problem] = []
        npus = scan(self._settings, problems)
        self._names = tuple(npu.name for npu in npus)
        now, hold_off = self._clock(), self._settings.reset_hold_off
        self._resets = counted(self._resets, self._new_resets(), [npu.devpath for npu in npus])
        waits = {npu.name: held_off_for(self._resets.get(npu.devpath), hold_off=hold_off, now=now) for npu in npus}
        faults = {npu.name: reason(self._resets[npu.devpath]) if waits[npu.name] else "" for npu in npus}
        found = [device for npu in npus for device in devices(npu, self._settings, fault=faults[npu.name])]
        return ScanResult(
            devices={DEVICE_TYPE: found} if found else {},
            problems=tuple(problems),
            scan_again_in=min(filter(None, waits.values()), default=None),
        )

    def measure(self) -> Sequence[Gauge]:
        measured = measure(
            self._settings.sysfs_root, self._names, resets=self._resets, before=self._busy, now=self._clock()
        )
        self._busy = measured.busy
        return measured.gauges

    def _new_resets(self) -> Iterator[Reset]:
        while self._heard:
            yield self._heard.popleft()
