"""The plugin for work queues as the framework runs it, for DSA and IAA alike."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from xpu_shared.device import Allocation, ScanResult
from xpu_shared.idxd.accelerator import Accelerator
from xpu_shared.idxd.environment import environment
from xpu_shared.idxd.measurements import measure
from xpu_shared.idxd.preference import choose
from xpu_shared.idxd.queues import Memory, Queue
from xpu_shared.idxd.scan import Look
from xpu_shared.idxd.settings import MANY_SHARED, IdxdSettings
from xpu_shared.measurement import Gauge
from xpu_shared.program.logs import Log

log = Log("idxd")


class IdxdPlugin:
    subsystems = frozenset({"dsa", "pci"})

    def __init__(self, accelerator: Accelerator, settings: IdxdSettings) -> None:
        self.namespace = accelerator.namespace
        self._accelerator = accelerator
        self._settings = settings
        self._memory = Memory()  # written by scans, of which there is one at a time
        self._told = ""

    @property
    def watched_directories(self) -> Sequence[Path]:
        dev = self._settings.dev_root
        return (dev / self._accelerator.device, dev / "char")

    @property
    def warnings(self) -> Sequence[str]:
        shared = self._settings.shared_dev_num
        if shared <= MANY_SHARED:
            return ()
        return (f"--shared-dev-num={shared}: so many containers to one queue are rarely meant",)

    def scan(self) -> ScanResult:
        look = Look(
            accelerator=self._accelerator,
            settings=self._settings,
            before=self._memory,
            monotonic=time.monotonic(),
            wall=time.time(),
        )
        look.all_devices()
        self._tell(look)
        self._memory = look.memory
        return look.result

    def measure(self) -> Sequence[Gauge]:
        return measure(self._accelerator, self._settings.sysfs_root)

    def _tell(self, look: Look) -> None:
        """Log each queue when it is new or looks different, and once when there is none."""
        for queue in look.queues:
            if self._memory.offered.get(queue.name) != queue:
                nodes = ",".join(node.host_path for node in queue.nodes)
                log.verbose(
                    4,
                    "offers a queue",
                    name=queue.name,
                    amount=queue.slots,
                    type=queue.type,
                    mode=queue.mode,
                    nodes=nodes,
                )
        told = "" if look.queues else f"{look.devices} devices, {look.disabled} disabled queues"
        if told and told != self._told:
            log.info("no enabled queues", plugin=self.namespace, devices=look.devices, disabled_queues=look.disabled)
        self._told = told

    def prepare(self, device_type: str, ids: Sequence[str], allocation: Allocation) -> Allocation:
        if not self._settings.inject_env:
            return allocation
        granted = self._granted(ids)
        variables = environment(self._accelerator.title, granted)
        return replace(allocation, envs={**allocation.envs, **variables})

    def _granted(self, ids: Sequence[str]) -> Sequence[Queue]:
        """The queues of ids, each once, in the order of the devices and queues."""
        wanted = set(ids)
        return [queue for queue in self._memory.offered.values() if not wanted.isdisjoint(queue.ids)]


class PreferringIdxdPlugin(IdxdPlugin):
    """With an opinion on which queues a container should get; the kubelet asks only plugins that have one."""

    def prefer(
        self, device_type: str, available: Sequence[str], must_include: Sequence[str], size: int
    ) -> Sequence[str]:
        return choose(self._settings.preferred, available, must_include, size, numa_nodes=self._numa_nodes())

    def _numa_nodes(self) -> Mapping[int, Sequence[int]]:
        """Of each device, by its number."""
        prefix = len(self._accelerator.device)
        return {int(queue.device[prefix:]): queue.numa_nodes for queue in self._memory.offered.values()}


def idxd_plugin(accelerator: Accelerator, settings: IdxdSettings) -> IdxdPlugin:
    return (IdxdPlugin if settings.preferred == "none" else PreferringIdxdPlugin)(accelerator, settings)
