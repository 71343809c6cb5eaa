"""The DLB plugin as the framework runs it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from xpu_plugins.dlb.container import prepared
from xpu_plugins.dlb.function import PF, VF, Function
from xpu_plugins.dlb.measurements import measure
from xpu_plugins.dlb.scan import device_id, devices, scan
from xpu_plugins.dlb.settings import DlbSettings
from xpu_shared.allocation import UnknownDeviceError
from xpu_shared.device import Allocation, Problem, ScanResult
from xpu_shared.measurement import Gauge
from xpu_shared.program.logs import Log

log = Log("dlb")


class DlbPlugin:
    namespace = "dlb.intel.com"
    subsystems = frozenset({"dlb2", "pci"})

    def __init__(self, settings: DlbSettings) -> None:
        self._settings = settings
        self._functions: Mapping[str, Function] = {}  # by id; replaced by scans, of which there is one at a time
        self._counted = ""

    @property
    def watched_directories(self) -> Sequence[Path]:
        return (self._settings.dev_root,)

    def scan(self) -> ScanResult:
        problems: list[Problem] = []
        functions = scan(self._settings, problems)
        self._tell(functions)
        self._functions = {device_id(function, self._settings.device_id): function for function in functions}
        return ScanResult(devices=devices(functions, self._settings), problems=tuple(problems))

    def measure(self) -> Sequence[Gauge]:
        return measure(self._settings.sysfs_root)

    def _tell(self, functions: Sequence[Function]) -> None:
        """Say which functions have another number than before, and at -v=1 how many there are now."""
        before = {function.directory: function.name for function in self._functions.values()}
        for function in functions:
            was = before.get(function.directory, function.name)
            if was != function.name:
                log.info("a function has a new number", function=function.address, was=was, now=function.name)
        text = summary(functions)
        if text != self._counted:
            self._counted = text
            log.verbose(1, text)

    def prepare(self, device_type: str, ids: Sequence[str], allocation: Allocation) -> Allocation:
        functions = self._functions
        for id_ in ids:
            if id_ not in functions:
                raise UnknownDeviceError(f"{self.namespace}/{device_type}: device {id_!r} has just gone")
        return prepared(
            allocation,
            [functions[id_] for id_ in ids],
            dense=self._settings.container_numbering == "dense",
            variables=self._settings.inject_env,
        )


def summary(functions: Sequence[Function]) -> str:
    """How many functions of each kind there are."""
    return ", ".join(_count(type_, functions) for type_ in (PF, VF))


def _count(type_: str, functions: Sequence[Function]) -> str:
    faults = [function.fault for function in functions if function.type == type_]
    unhealthy = sum(map(bool, faults))
    return f"{type_} {len(faults)}" + (f" ({unhealthy} unhealthy)" if unhealthy else "")
