"""What a Level-Zero sidecar has to say of a node's GPUs on its page and in its file of labels. Functions of the truth.

As in `truth.py` it is the documentation that says how, docs/metrics.md and docs/schedulers.md.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from soak.truth import Id, Truth
from xpu_simulator.families.gpu.device import Gpu
from xpu_simulator.families.gpu.models import BY_PCI_ID
from xpu_simulator.level_zero.faults import Fault

OK, DEGRADED, FAILED, UNKNOWN, ABSENT = "ok", "degraded", "failed", "unknown", "absent"
WORST_LAST = (OK, UNKNOWN, DEGRADED, FAILED)
ANY = frozenset({*WORST_LAST, ABSENT})
USUAL_CELSIUS = 45.0  # of the simulated cards
NAMESPACE = "gpu.intel.com"
MEMORY = frozenset({"memory-critical", "memory-replace"})  # each goes when no module has either


@dataclass(frozen=True, slots=True, order=True)
class Share:
    """A pod has a GPU, by a resource."""

    pci_address: str
    pod: str
    resource: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The sidecar's page, as far as it is compared."""

    conditions: Mapping[str, str]  # by PCI address
    celsius: Mapping[str, float]  # of the sensor of the whole GPU
    shares: frozenset[Share]
    owners: Mapping[str, str]  # the pod on the series of a GPU, empty for none
    up: bool


def condition(fault: Fault) -> str:
    if fault.lost or fault.wedged or fault.bus or fault.memory_health in ("critical", "replace"):
        return FAILED
    return DEGRADED if fault.memory_health == "degraded" else OK


def driven(truth: Truth) -> dict[str, Gpu]:
    """The GPUs that the driver library knows, by name."""
    return {
        name: device
        for name, device in truth.present.items()
        if isinstance(device, Gpu) and device.driver in ("i915", "xe")
    }


def conditions(truth: Truth, gpus: Mapping[str, Gpu], now: float) -> Mapping[str, frozenset[str]]:
    """What may be said of each GPU, by PCI address; `gpus` are all that the node ever has."""
    there, found = driven(truth), {}
    for name, gpu in gpus.items():
        if name in there:
            certain, what = truth.reach.sure(name, now), condition(truth.fault_of(name))
        else:
            certain, what = truth.reach.calm(name, now), ABSENT
        found[gpu.pci_address] = frozenset({what}) if certain else ANY
    return found


def celsius(truth: Truth, now: float) -> Mapping[str, float]:
    """What the GPUs measure, by PCI address, where that is certain."""
    found = {}
    for name, gpu in driven(truth).items():
        fault = truth.fault_of(name)
        if truth.reach.sure(name, now) and not fault.lost:  # of one that is lost the last value stays
            found[gpu.pci_address] = USUAL_CELSIUS if fault.temperature is None else fault.temperature
    return found


def shares(truth: Truth) -> frozenset[Share]:
    """Which pods have which of the GPUs that are there."""
    addresses = {f"card{gpu.card}-0": gpu.pci_address for gpu in driven(truth).values()}
    return frozenset(
        Share(addresses[id_], pod, resource)
        for pod, ids in truth.pods.items()
        for resource, id_ in ids
        if resource.startswith(f"{NAMESPACE}/") and id_ in addresses
    )


def labels(truth: Truth, now: float) -> Mapping[str, str] | None:
    """The labels of cards and their sums; None while something is not certain, or where there is no GPU to speak of."""
    gpus = driven(truth)
    if not gpus or not all(truth.reach.sure(name, now) for name in gpus):
        return None
    states = {gpu.card: condition(truth.fault_of(name)) for name, gpu in gpus.items()}
    sizes = {gpu.card: memory(gpu) for gpu in gpus.values()}
    return {
        f"{NAMESPACE}/memory.max": str(sum(sizes.values())),
        f"{NAMESPACE}/xpu-health": max(states.values(), key=WORST_LAST.index),
        **{f"{NAMESPACE}/xpu-card{card}.health": state for card, state in states.items()},
        **{f"{NAMESPACE}/xpu-card{card}.memory": str(size) for card, size in sizes.items()},
    }


def memory(gpu: Gpu) -> int:
    """Bytes that software may allocate: a 256th of the simulated memory is not for it."""
    size = gpu.memory_bytes or BY_PCI_ID[gpu.pci_id].memory_gib << 30
    return size - size // 256


def wrong_on_page(truth: Truth, gpus: Mapping[str, Gpu], page: Page, now: float) -> Iterator[str]:
    """What is not as it has to be, in words."""
    for address, allowed in conditions(truth, gpus, now).items():
        if (found := page.conditions.get(address, ABSENT)) not in allowed:
            yield f"{address} is {found}, expected {' or '.join(sorted(allowed))}"
    for address, expected in celsius(truth, now).items():
        if (measured := page.celsius.get(address, math.nan)) != expected:
            yield f"{address} measures {measured:g} °C, expected {expected:g}"
    there = shares(truth)
    yield from (f"{share} is missing" for share in sorted(there - page.shares))
    yield from (f"{share} is there, and is not so" for share in sorted(page.shares - there))
    for address, owner in page.owners.items():
        pods = sorted({share.pod for share in there if share.pci_address == address})
        expected_owner = pods[0] if len(pods) == 1 else ""
        if owner != expected_owner:
            yield f"{address} is said to work for {owner or 'nobody'}, expected {expected_owner or 'nobody'}"
    if not page.up and any(truth.reach.sure(name, now) for name in driven(truth)):
        yield "nothing is read, although there are GPUs"


def wrong_labels(truth: Truth, found: Mapping[str, str], now: float) -> Iterator[str]:
    """Labels of cards that are not there count too. The memory of a GPU that is lost may never have been read."""
    expected = labels(truth, now)
    if expected is None:
        return
    lost = {gpu.card for name, gpu in driven(truth).items() if truth.fault_of(name).lost}
    optional = {f"{NAMESPACE}/xpu-card{card}.memory" for card in lost}
    optional |= {f"{NAMESPACE}/memory.max"} if lost else set()
    of_cards = {name for name in found if name.startswith(f"{NAMESPACE}/xpu-card")}
    for name in sorted(expected.keys() | of_cards):
        if found.get(name) != expected.get(name) and not (name in optional and name not in found):
            yield f"{name} is {found.get(name)}, expected {expected.get(name)}"


def wrong_reasons(truth: Truth, found: Mapping[Id, frozenset[str]], now: float) -> Iterator[str]:
    """A GPU that is lost may have its last reasons besides: nothing newer is measured."""
    for id_, expected in truth.reasons(now).items():
        reasons = found.get(id_, frozenset())
        besides = reasons - expected
        allowed = "device-lost" in expected or (besides < MEMORY and expected < MEMORY)
        if not expected <= reasons or (besides and not allowed):
            yield f"{id_[0]} {id_[1]} has reasons {sorted(reasons)}, expected {sorted(expected)}"
