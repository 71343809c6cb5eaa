"""The SGX plugin as the framework runs it."""

from collections.abc import Sequence
from pathlib import Path

from xpu_plugins.sgx.device_files import ENCLAVE, PROVISION, absence
from xpu_plugins.sgx.efi import CDI_KIND
from xpu_plugins.sgx.limits import default_limit
from xpu_plugins.sgx.measurements import measure
from xpu_plugins.sgx.scan import NAMESPACE, devices
from xpu_plugins.sgx.settings import SgxSettings
from xpu_shared.device import Problem, ScanResult
from xpu_shared.measurement import Gauge


class SgxPlugin:
    namespace = NAMESPACE
    subsystems = frozenset({"misc"})
    cdi_kinds = (CDI_KIND,)
    ids_only_count = True

    def __init__(self, settings: SgxSettings, *, pods_per_core: str, cpus: int) -> None:
        """
        Args:
            pods_per_core: as the environment has it, perhaps empty.
            cpus: those that this process may run on.
        """
        self._settings = settings
        self._problems: list[Problem] = []
        self._default_limit = default_limit(pods_per_core, cpus=cpus, problems=self._problems)
        self._in_doubt = False  # the last scan could not tell whether the files are there

    @property
    def watched_directories(self) -> Sequence[Path]:
        return (self._settings.dev_root,)

    def scan(self) -> ScanResult:
        problems = list(self._problems)
        if not self._both_files(problems):
            return ScanResult(devices={}, problems=tuple(problems))
        found = devices(self._settings, default_limit=self._default_limit, problems=problems)
        return ScanResult(devices=found, problems=tuple(problems))

    def measure(self) -> Sequence[Gauge]:
        return measure(self._settings.sysfs_root)

    def _both_files(self, problems: list[Problem]) -> bool:
        """Nothing is offered without both; OSError when they cannot be looked at, the first time that it happens."""
        dev, in_doubt, complete = self._settings.dev_root, False, True
        for file in (dev / ENCLAVE, dev / PROVISION):
            try:
                reason = absence(file, dev=dev)
            except OSError as error:
                if not self._in_doubt:
                    self._in_doubt = True
                    raise
                in_doubt, reason = True, str(error.strerror)
            if reason is not None:
                complete = False
                problems.append(Problem(subject=str(file), text=reason, rejected=True))
        self._in_doubt = in_doubt
        return complete
