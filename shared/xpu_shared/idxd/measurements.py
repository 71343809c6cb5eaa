"""What the metrics page shows of idxd's devices and queues, enabled or not: state, open handles, entries, errors."""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from xpu_shared.device import Problem
from xpu_shared.idxd import tree
from xpu_shared.idxd.accelerator import Accelerator
from xpu_shared.kernel.sysfs import MalformedAttributeError, read_integer, read_text
from xpu_shared.measurement import Gauge

DEVICE_LABELS = ("device", "pci_bdf", "numa_node")
QUEUE_LABELS = (*DEVICE_LABELS, "wq")
BITS = re.compile(r"[0-9a-f]{1,8}(?:,[0-9a-f]{1,8}){0,31}")  # as the kernel prints a bit list

Samples = list[tuple[tuple[str, ...], float]]


def measure(accelerator: Accelerator, sysfs: Path) -> Sequence[Gauge]:
    """Everything that is there now; OSError when nothing can be seen. What cannot be read is left out."""
    device_states, errors, states, clients, occupancy = [Samples() for _ in range(5)]
    for name in tree.device_names(sysfs, accelerator):
        path = str((sysfs / tree.BUS / name).resolve())
        labels = (name, tree.pci_address(path) or "", _word(f"{path}/numa_node"))
        with suppress(OSError, MalformedAttributeError):
            device_states.append(((*labels, tree.word(f"{path}/state", tree.DEVICE_STATES)), 1))
        with suppress(OSError, MalformedAttributeError):
            errors.append((labels, bits(f"{path}/errors")))
        for queue in _queues(path, name.removeprefix(accelerator.device)):
            own = (*labels, queue)
            with suppress(OSError, MalformedAttributeError):
                states.append(((*own, tree.word(f"{path}/{queue}/state", tree.QUEUE_STATES)), 1))
            _number(clients, own, f"{path}/{queue}/clients")
            _number(occupancy, own, f"{path}/{queue}/occupancy")
    with_state = "1 for the state it is in."
    return (
        _gauge("idxd_device_state", f"Devices, {with_state}", (*DEVICE_LABELS, "state"), device_states),
        _gauge("idxd_device_errors", "Bits that are set in a device's error register.", DEVICE_LABELS, errors),
        _gauge("idxd_wq_state", f"Work queues, {with_state}", (*QUEUE_LABELS, "state"), states),
        _gauge("idxd_wq_clients", "Open handles of a work queue.", QUEUE_LABELS, clients),
        _gauge("idxd_wq_occupancy", "Entries that are in a work queue.", QUEUE_LABELS, occupancy),
    )


def bits(attribute: str) -> int:
    """How many bits of a bit list such as `00000000,00000003` are set.

    Raises:
        OSError, MalformedAttributeError: it cannot be read, or is none.
    """
    text = read_text(attribute)
    if not BITS.fullmatch(text):
        raise MalformedAttributeError(attribute, expected="a bit list such as 00000000,00000003", found=text)
    return int(text.replace(",", ""), base=16).bit_count()


def _queues(device: str, number: str) -> list[str]:
    ignored: list[Problem] = []  # scans tell of them
    try:
        return tree.queue_names(device, number, ignored)
    except OSError:
        return []


def _word(attribute: str) -> str:
    try:
        return str(read_integer(attribute))
    except (OSError, MalformedAttributeError):
        return ""


def _number(samples: Samples, labels: tuple[str, ...], attribute: str) -> None:
    with suppress(OSError, MalformedAttributeError):  # occupancy is not supported everywhere
        samples.append((labels, read_integer(attribute)))


def _gauge(name: str, text: str, labels: tuple[str, ...], samples: Samples) -> Gauge:
    return Gauge(name=name, help=text, labels=labels, samples=samples)
