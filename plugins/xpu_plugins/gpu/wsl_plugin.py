"""The GPU plugin within the Windows Subsystem for Linux, as the framework runs it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from xpu_plugins.gpu.first_message import FirstMessage
from xpu_plugins.gpu.settings import GpuSettings
from xpu_plugins.gpu.wsl import AFFINITY, affinity_mask, wsl_devices
from xpu_shared.device import Allocation, ScanResult
from xpu_shared.plugin import Causes
from xpu_shared.policy.sharing import POLICIES

if TYPE_CHECKING:
    from prometheus_client import Metric

    from xpu_plugins.gpu.sidecars import Sidecars
    from xpu_shared.telemetry.freshness import Received


class WslPlugin:
    namespace = "gpu.intel.com"
    subsystems = frozenset({"misc"})  # of /dev/dxg

    def __init__(self, settings: GpuSettings) -> None:
        self._settings = settings
        self._policy = POLICIES[settings.allocation_policy]
        self._indices: tuple[int, ...] | None = None  # None: no sidecar has listed any yet
        self._first = FirstMessage()
        self._sidecars: Sidecars | None = None

    def scan(self) -> ScanResult:
        self._first.wait()
        if self._indices is None:
            raise OSError(f"no list of GPUs from a sidecar at {' or '.join(self._settings.endpoints)}")
        return wsl_devices(self._indices, shared=self._settings.shared_dev_num)

    async def run_beside_scans(self, causes: Causes) -> None:
        from xpu_plugins.gpu.sidecars import Sidecars  # noqa: PLC0415 - ZeroMQ, when the work begins

        def take(endpoint: str, message: "Received") -> None:
            """A list that is empty is one; a message without a list changes nothing."""
            snapshot = message.envelope.payload
            listed = snapshot.wsl
            if listed is not None and not snapshot.unavailable:
                changed, self._indices = self._indices != listed.indices, listed.indices
                self._first.arrived()
                if changed:
                    causes.scan()

        self._first.listening()
        self._sidecars = Sidecars(self._settings)
        await self._sidecars.run(take)

    def metrics(self) -> "Iterator[Metric]":
        return self._sidecars.metrics() if self._sidecars is not None else iter(())

    def prefer(
        self, device_type: str, available: Sequence[str], must_include: Sequence[str], size: int
    ) -> Sequence[str]:
        return self._policy(available, must_include, size)

    def prepare(self, device_type: str, ids: Sequence[str], allocation: Allocation) -> Allocation:
        """All GPUs of the container are in its mask, not the last one only."""
        return replace(allocation, envs={**allocation.envs, AFFINITY: affinity_mask(ids)})
