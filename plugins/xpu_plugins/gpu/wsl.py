"""GPUs of the Windows Subsystem for Linux: no sysfs, one device file, and indices that only the sidecar knows."""

from collections.abc import Iterable, Iterator, Sequence

from xpu_shared.device import Device, DeviceNode, Mount, Problem, ScanResult

DEVICE_TYPE = "dxg"
AFFINITY = "ZE_AFFINITY_MASK"
NODE = DeviceNode(host_path="/dev/dxg", container_path="/dev/dxg")
LIBRARIES = Mount(host_path="/usr/lib/wsl", container_path="/usr/lib/wsl")
LARGEST_INDEX = 2**16


def wsl_devices(indices: Iterable[int], *, shared: int) -> ScanResult:
    """`shared` ids for each GPU; an index that cannot be one is left out."""
    found = sorted(set(indices))
    usable = [index for index in found if 0 <= index <= LARGEST_INDEX]
    problems = [_problem(index) for index in found if index not in usable]
    devices = {DEVICE_TYPE: [device for index in usable for device in _ids(index, shared)]}
    return ScanResult(devices=devices, problems=tuple(problems))


def _problem(index: int) -> Problem:
    text = f"the sidecar lists index {index}, expected 0 to {LARGEST_INDEX}"
    return Problem(subject=f"card{index}", text=text, rejected=True)


def _ids(index: int, shared: int) -> Iterator[Device]:
    for number in range(shared):
        yield Device(id=f"card{index}-{number}", nodes=(NODE,), mounts=(LIBRARIES,), envs={AFFINITY: str(index)})


def affinity_mask(ids: Sequence[str]) -> str:
    """The GPUs of one container; several ids may share one."""
    indices = {int(id_.removeprefix("card").partition("-")[0]) for id_ in ids}
    return ",".join(map(str, sorted(indices)))
