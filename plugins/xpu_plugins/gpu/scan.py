"""Sysfs and /dev to the devices of a node's GPUs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xpu_plugins.gpu import card as cards
from xpu_plugins.gpu.by_path import ByPath
from xpu_plugins.gpu.card import RejectedCardError
from xpu_plugins.gpu.device_files import device_files, device_nodes
from xpu_plugins.gpu.monitoring import mei_nodes, monitoring_device
from xpu_plugins.gpu.settings import GpuSettings
from xpu_shared.device import CdiDevice, Device, DeviceNode, Mount, Problem, ScanResult
from xpu_shared.kernel.sysfs import MalformedAttributeError
from xpu_shared.kernel.topology import TopologyError, numa_nodes

CDI_KIND = "intel.cdi.k8s.io/gpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A card that is offered."""

    name: str
    driver: str
    nodes: tuple[DeviceNode, ...]
    mounts: tuple[Mount, ...]
    numa_nodes: tuple[int, ...]
    mei_nodes: tuple[DeviceNode, ...]  # for monitoring only
    address: str  # on the PCI bus; empty: it has none


def scan(settings: GpuSettings, last_drivers: Mapping[str, str] | None = None) -> ScanResult:
    """List the GPUs below the roots that the settings name; OSError when class/drm cannot be listed.

    Args:
        last_drivers: the driver of each card at the last scan, by its name.
    """
    problems: list[Problem] = []
    gpus = _gpus(settings, last_drivers or {}, problems)
    devices: dict[str, list[Device]] = {}
    for gpu in gpus:
        devices.setdefault(gpu.driver, []).extend(_ids(gpu, settings.shared_dev_num))
    if settings.enable_monitoring:
        devices |= _monitoring(gpus, split=settings.monitoring_mode == "split")
    return ScanResult(devices=devices, problems=tuple(problems))


def _gpus(settings: GpuSettings, last_drivers: Mapping[str, str], problems: list[Problem]) -> list[Gpu]:
    by_path = ByPath(settings.bypath, settings.dev_root, settings.host_dev_root, problems)
    gpus = []
    for name in cards.card_names(settings.sysfs_root):
        try:
            gpus.append(_gpu(name, settings, by_path, problems, last_driver=last_drivers.get(name)))
        except RejectedCardError as error:
            problems.append(Problem(subject=name, text=str(error), rejected=True, expected=error.expected))
        except (OSError, MalformedAttributeError) as error:
            problems.append(Problem(subject=name, text=str(error), rejected=True))
    return gpus


def _gpu(name: str, settings: GpuSettings, by_path: ByPath, problems: list[Problem], *, last_driver: str | None) -> Gpu:
    card = f"{settings.sysfs_root}/class/drm/{name}"
    cards.check_vendor(card)
    cards.check_lists(card, settings.allow_ids, settings.deny_ids, problems)
    cards.check_virtual_functions(card, problems)
    driver = cards.driver(card, problems, last_driver)
    files = device_files(card, settings.dev_root, problems, simulated=settings.dev_root != Path("/dev"))
    return Gpu(
        name=name,
        driver=driver,
        nodes=device_nodes(files, settings.host_dev_root),
        mounts=by_path.mounts(card, files),
        numa_nodes=_numa_nodes(card, settings.sysfs_root, problems),
        mei_nodes=mei_nodes(card, settings.host_dev_root, problems) if settings.enable_monitoring else (),
        address=cards.device_address(card) or "",
    )


def _numa_nodes(card: str, sysfs: Path, problems: list[Problem]) -> tuple[int, ...]:
    try:
        return numa_nodes(Path(card, "device"), sysfs=sysfs)
    except (TopologyError, OSError) as error:
        problems.append(cards.problem(card, f"no NUMA node is told: {error}"))
        return ()


def _ids(gpu: Gpu, shared: int) -> Iterator[Device]:
    """`shared` ids for one card, alike but for their number."""
    cdi = CdiDevice(kind=CDI_KIND, name=gpu.name, nodes=gpu.nodes, mounts=gpu.mounts)
    for number in range(shared):
        yield Device(
            id=f"{gpu.name}-{number}",
            nodes=gpu.nodes,
            mounts=gpu.mounts,
            numa_nodes=gpu.numa_nodes,
            cdi=cdi,
            hardware=gpu.address,
        )


def _monitoring(gpus: Sequence[Gpu], *, split: bool) -> dict[str, list[Device]]:
    """One device for all cards, or one for those of each driver."""
    groups: dict[str, list[DeviceNode]] = {}
    for gpu in gpus:
        group = f"{gpu.driver}_monitoring" if split else "monitoring"
        groups.setdefault(group, []).extend((*gpu.nodes, *gpu.mei_nodes))
    return {group: [monitoring_device(nodes)] for group, nodes in groups.items()}
