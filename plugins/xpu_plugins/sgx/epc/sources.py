"""Where the size of the EPC is known from: one source after the other, until one answers.

What no source knows is unknown, which is not 0.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from xpu_plugins.sgx.epc.cpuid import by_device, by_instruction
from xpu_plugins.sgx.epc.sections import Cpuid, Epc, read_epc
from xpu_shared.kernel.sysfs import MalformedAttributeError, read_integer

SOURCES = ("instruction", "device", "sysfs")
NODES = "devices/system/node"
MOST = 2**63 - 1  # bytes: what a quantity of Kubernetes can be
NODE = re.compile(r"node[0-9]{1,6}")


class UnknownEpcError(Exception):
    """No source answers; one line that says why each does not."""


def find_epc(sources: Sequence[str], *, sysfs: Path, dev: Path) -> tuple[str, Epc]:
    """The name of the source that answers, and what it says.

    Raises:
        UnknownEpcError: none does.
    """
    reasons = []
    for source in sources:
        try:
            epc = READERS[source](sysfs, dev)
        except (OSError, MalformedAttributeError) as error:
            reasons.append(f"{source}: {_shown(error)}")
        else:
            return source, epc if source == "sysfs" else compared(epc, sysfs)
    text = "; ".join(reasons)
    raise UnknownEpcError(f"the size of the EPC is not known: {text}")


def _from_cpuid(cpuid: Callable[[Path], Cpuid]) -> Callable[[Path, Path], Epc]:
    return lambda _, dev: read_epc(cpuid(dev))


def kernels_total(sysfs: Path) -> int:
    """What the kernel manages, in bytes: the sum over NUMA nodes.

    Raises:
        OSError: no node tells it: an older kernel, or its SGX driver is not at work.
        MalformedAttributeError: one tells something else.
    """
    directory = sysfs / NODES
    files = [directory / name / "x86/sgx_total_bytes" for name in sorted(_nodes(directory))]
    present = [file for file in files if file.exists()]
    if not present:
        raise OSError(None, f"{directory}/node*/x86/sgx_total_bytes: no such file")
    total = 0
    for file in present:
        size = read_integer(file)
        if not 0 <= size <= MOST:
            raise MalformedAttributeError(file, expected="a number of bytes", found=str(size))
        total += size
    return total


def _nodes(directory: Path) -> list[str]:
    try:
        return [entry.name for entry in directory.iterdir() if NODE.fullmatch(entry.name)]
    except FileNotFoundError:
        return []


def _from_sysfs(sysfs: Path, _: Path) -> Epc:
    total = kernels_total(sysfs)
    return Epc(total=total, reason="" if total else "the kernel manages none")


def compared(epc: Epc, sysfs: Path) -> Epc:
    """With a warning where the kernel manages something else than the processor tells."""
    try:
        total = kernels_total(sysfs)
    except (OSError, MalformedAttributeError):
        return epc
    if total == epc.total:
        return epc
    text = f"CPUID tells {epc.total} bytes of EPC, but the kernel manages {total} (sgx_total_bytes)"
    return replace(epc, warnings=(*epc.warnings, text))


def _shown(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error.strerror if isinstance(error, OSError) and error.strerror else error)


READERS: dict[str, Callable[[Path, Path], Epc]] = {
    "instruction": _from_cpuid(lambda _: by_instruction()),
    "device": _from_cpuid(lambda dev: by_device(dev / "cpu/0/cpuid")),
    "sysfs": _from_sysfs,
}
