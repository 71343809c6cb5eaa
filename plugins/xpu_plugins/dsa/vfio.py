"""Whole DSA devices for programs that bring a driver of their own: PCI functions that are bound to vfio-pci.

The plugin binds and unbinds nothing. A function that cannot be handed out costs only itself.
"""

import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xpu_plugins.dsa.settings import DsaSettings
from xpu_shared.device import Allocation, Device, DeviceNode, Health, Problem, ScanResult
from xpu_shared.idxd.accelerator import DSA
from xpu_shared.kernel import vfio
from xpu_shared.kernel.device_files import is_simulated, kind_of_file
from xpu_shared.kernel.sysfs import MalformedAttributeError, read_text
from xpu_shared.kernel.topology import TopologyError, numa_nodes
from xpu_shared.kernel.vfio import IommuGroup

INTEL = "0x8086"
DSA_IDS = frozenset({"0x0b25", "0x11fb", "0x1212"})
DEVICE_TYPE = "vfio"


class RejectedFunctionError(Exception):
    """A function that is not offered; `expected` when that is an ordinary sight."""

    def __init__(self, reason: str, *, expected: bool = False) -> None:
        super().__init__(reason)
        self.expected = expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One that is offered."""

    address: str
    group: IommuGroup
    numa_nodes: tuple[int, ...]


class VfioPlugin:
    namespace = DSA.namespace
    subsystems = frozenset({"pci", "vfio"})

    def __init__(self, settings: DsaSettings) -> None:
        self._settings = settings
        self._offered: frozenset[str] = frozenset()  # by the last scan; written by scans, one at a time

    @property
    def watched_directories(self) -> Sequence[Path]:
        return (self._settings.dev_root / "vfio",)

    @property
    def warnings(self) -> Sequence[str]:
        shared = self._settings.shared_dev_num
        return (f"--shared-dev-num={shared} has no effect with --driver=vfio-pci",) if shared > 1 else ()

    def scan(self) -> ScanResult:
        problems: list[Problem] = []
        functions = list(self._functions(problems))
        users = Counter(function.group.number for function in functions)
        devices = [self._device(function, users[function.group.number]) for function in functions]
        losses = {problem.subject: problem.text for problem in problems if problem.subject in self._offered}
        self._offered = frozenset(device.id for device in devices)
        return ScanResult(
            devices={DEVICE_TYPE: devices} if devices else {},
            problems=tuple(problems),
            losses={DEVICE_TYPE: losses},
        )

    def _functions(self, problems: list[Problem]) -> list[Function]:
        functions = []
        for address in vfio.pci_addresses(self._settings.sysfs_root):
            path = self._settings.sysfs_root / "bus/pci/devices" / address
            try:
                if is_dsa(path):
                    functions.append(self._function(path, problems))
            except RejectedFunctionError as error:
                problems.append(Problem(subject=address, text=str(error), rejected=True, expected=error.expected))
            except (OSError, MalformedAttributeError) as error:
                problems.append(Problem(subject=address, text=str(error), rejected=True))
        return functions

    def _function(self, path: Path, problems: list[Problem]) -> Function:
        driver = vfio.driver_of(path)
        if not driver:
            raise RejectedFunctionError(f"it is bound to no driver; {vfio.DRIVER} is needed")
        if driver != vfio.DRIVER:
            raise RejectedFunctionError(f"its driver is {driver[:64]!a}, not {vfio.DRIVER}", expected=True)
        try:
            group = vfio.iommu_group(path)
        except FileNotFoundError:
            raise RejectedFunctionError("it is in no IOMMU group; is the IOMMU switched on (intel_iommu=on)?") from None
        file = self._settings.dev_root / group.file
        try:
            mode = file.stat().st_mode
        except FileNotFoundError:
            raise RejectedFunctionError(f"its file {file} is missing") from None
        if not (stat.S_ISCHR(mode) or (stat.S_ISREG(mode) and is_simulated(self._settings.dev_root))):
            raise RejectedFunctionError(f"{file} is a {kind_of_file(mode)}, no character device")
        return Function(address=path.name, group=group, numa_nodes=self._numa_nodes(path, problems))

    def _numa_nodes(self, path: Path, problems: list[Problem]) -> tuple[int, ...]:
        try:
            return numa_nodes(path, sysfs=self._settings.sysfs_root)
        except (TopologyError, OSError) as error:
            problems.append(Problem(subject=path.name, text=f"no NUMA node is told: {error}"))
            return ()

    def _device(self, function: Function, users: int) -> Device:
        reason = self._obstacle(function.group, users)
        return Device(
            id=function.address,
            nodes=tuple(self._node(name) for name in (function.group.file, vfio.CONTAINER)),
            numa_nodes=function.numa_nodes,
            health=Health.UNHEALTHY if reason else Health.HEALTHY,
            reason=reason,
        )

    def _obstacle(self, group: IommuGroup, users: int) -> str:
        """Why the kernel would not let a container open the group, empty when it would."""
        if group.obstacles:
            address, driver = group.obstacles[0]
            return f"IOMMU group {group.number} cannot be opened: {address} in it is bound to {driver[:64]}"
        if users > 1 and not self._settings.allow_shared_iommu_group:
            return f"{users} DSA devices share IOMMU group {group.number}, which only one container can open"
        return ""

    def _node(self, name: str) -> DeviceNode:
        return DeviceNode(host_path=f"{self._settings.host_dev_root}/{name}", container_path=f"/dev/{name}")

    def prepare(self, device_type: str, ids: Sequence[str], allocation: Allocation) -> Allocation:
        """Tell the container its devices' addresses, numbered from 0 in ascending order."""
        addresses = sorted(ids, key=vfio.address_order)
        variables = {f"VFIO_BDF{number}": address for number, address in enumerate(addresses)}
        return replace(allocation, envs={**allocation.envs, **variables})


def is_dsa(function: Path) -> bool:
    """Whether a PCI function is a DSA device; those of other vendors need not say what they are.

    Raises:
        OSError, MalformedAttributeError: it does not say.
    """
    return read_text(function / "vendor") == INTEL and read_text(function / "device") in DSA_IDS
