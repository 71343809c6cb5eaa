"""What the metrics page shows of load balancers: each function, what it owns, what of it is free."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from xpu_plugins.dlb.function import PF, VF
from xpu_shared.kernel.sysfs import MalformedAttributeError, list_names, read_integer, read_text
from xpu_shared.kernel.vfio import PCI_ADDRESS
from xpu_shared.measurement import Gauge

NAME = re.compile(r"dlb[0-9]+")
RESOURCE = re.compile(r"num_[a-z0-9_]+")
SHARES = re.compile(r"vf([0-9]+)_resources")
MOST = 64  # resources of a function, and virtual functions

Samples = list[tuple[tuple[str, ...], float]]


def measure(sysfs: Path) -> Sequence[Gauge]:
    """Everything that is there now; OSError when nothing can be seen. What cannot be read is left out."""
    functions, totals, free, locked = [Samples() for _ in range(4)]
    directory = sysfs / "class/dlb2"
    for name in filter(NAME.fullmatch, list_names(directory)) if directory.exists() else ():
        device = f"{directory}/{name}/device"
        address = Path(os.path.realpath(device)).name
        own = (name, address if PCI_ADDRESS.fullmatch(address) else "")
        kind = PF if os.path.lexists(f"{device}/sriov_numvfs") else VF
        functions.append(((*own, kind, _text(f"{device}/numa_node"), _text(f"{device}/driver_ver")), 1))
        _amounts(totals, own, f"{device}/total_resources")
        _amounts(free, own, f"{device}/avail_resources")
        for match in islice(filter(None, map(SHARES.fullmatch, _names(device))), MOST):
            _number(locked, (*own, match[1]), f"{device}/{match[0]}/locked")
    of, resource = ("device", "pci_bdf"), ("device", "pci_bdf", "resource")
    return (
        _gauge("dlb_device_info", "Functions, always 1.", (*of, "kind", "numa_node", "driver_ver"), functions),
        _gauge("dlb_resource_total", "What a function has of a resource.", resource, totals),
        _gauge("dlb_resource_available", "What of it is not given away or in use.", resource, free),
        _gauge("dlb_vf_locked", "1 while a driver has the virtual function.", (*of, "vf"), locked),
    )


def _amounts(samples: Samples, labels: tuple[str, ...], directory: str) -> None:
    for resource in islice(filter(RESOURCE.fullmatch, _names(directory)), MOST):
        _number(samples, (*labels, resource), f"{directory}/{resource}")


def _names(directory: str) -> list[str]:
    try:
        return list_names(directory)
    except OSError:
        return []


def _number(samples: Samples, labels: tuple[str, ...], attribute: str) -> None:
    with suppress(OSError, MalformedAttributeError):
        samples.append((labels, read_integer(attribute)))


def _text(attribute: str) -> str:
    try:
        return read_text(attribute)[:64]
    except (OSError, MalformedAttributeError):
        return ""


def _gauge(name: str, text: str, labels: tuple[str, ...], samples: Samples) -> Gauge:
    return Gauge(name=name, help=text, labels=labels, samples=samples)
