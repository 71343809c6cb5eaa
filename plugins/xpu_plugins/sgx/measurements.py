"""What the metrics page shows of SGX: how much enclave memory (EPC) the kernel has, by NUMA node."""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from xpu_shared.kernel.sysfs import MalformedAttributeError, list_names, read_integer
from xpu_shared.measurement import Gauge

NUMA_NODE = re.compile(r"node([0-9]+)")


def measure(sysfs: Path) -> Sequence[Gauge]:
    """What is there now; kernels before Linux 5.17, and those without NUMA, tell nothing."""
    nodes = sysfs / "devices/system/node"
    samples: list[tuple[tuple[str, ...], float]] = []
    for match in filter(None, map(NUMA_NODE.fullmatch, list_names(nodes) if nodes.exists() else ())):
        with suppress(OSError, MalformedAttributeError):
            samples.append(((match[1],), read_integer(nodes / match[0] / "x86/sgx_total_bytes")))
    text = "Enclave memory (EPC) that the kernel has."
    return (Gauge(name="sgx_epc_bytes", help=text, labels=("numa_node",), samples=samples),)
