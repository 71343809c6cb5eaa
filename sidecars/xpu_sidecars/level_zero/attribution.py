"""Which container a GPU works for, from what the kubelet says of ids and claims. A function of values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from xpu_shared.kubelet.holders import Claim, Claims, Holder, Holders

DEVICE_TYPES = ("i915", "xe")  # what gives a container a GPU; monitoring gives it all of them to look at
DEVICE_ID = re.compile(r"card([0-9]{1,9})-[0-9]+")
DRA_DRIVER = "gpu.intel.com"
DRA_ADDRESS = re.compile(r"(?<![0-9a-f])([0-9a-f]{4,8})-([0-9a-f]{2})-([01][0-9a-f])-([0-7])(?![0-9a-f])")
CDI_CARD = re.compile(r"(?:intel\.com|intel\.cdi\.k8s\.io)/gpu=card([0-9]{1,9})(?![0-9]).*")


@dataclass(frozen=True, slots=True, order=True)
class Share:
    """A container has a GPU, or a part of one, through a resource or a DRA driver."""

    pci_address: str
    holder: Holder
    resource: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """What was true at one moment."""

    shares: tuple[Share, ...] = ()  # sorted, each once
    exclusive: Mapping[str, Holder] = field(default_factory=dict)  # by PCI address, of GPUs that one container holds


def attribute(holders: Holders, claims: Claims, *, cards: Mapping[int, str], resource_namespace: str) -> Attribution:
    """Say which containers have which GPUs.

    Args:
        cards: PCI addresses by card number.
        resource_namespace: of the device plugin's resources, e.g. gpu.intel.com.
    """
    resources = {f"{resource_namespace}/{device_type}" for device_type in DEVICE_TYPES}
    shares: set[Share] = set()
    for (resource, id_), containers in holders.items():
        match = DEVICE_ID.fullmatch(id_)
        address = cards.get(int(match[1])) if match and resource in resources else None
        if address:
            shares.update(Share(address, holder, resource) for holder in containers)
    for claim, containers in claims.items():
        address = claimed(claim, cards)
        if address:
            shares.update(Share(address, holder, claim.driver) for holder in containers)
    by_address: dict[str, set[Holder]] = {}
    for share in shares:
        by_address.setdefault(share.pci_address, set()).add(share.holder)
    exclusive = {address: next(iter(who)) for address, who in by_address.items() if len(who) == 1}
    return Attribution(shares=tuple(sorted(shares)), exclusive=exclusive)


def claimed(claim: Claim, cards: Mapping[int, str]) -> str | None:
    """The GPU of a claim: its name has the PCI address, with dashes, else its CDI device names the card."""
    if claim.driver != DRA_DRIVER:
        return None
    found = DRA_ADDRESS.search(claim.device)
    if found:
        domain, bus, device, function = found.groups()
        return f"{domain}:{bus}:{device}.{function}"
    matches = (CDI_CARD.fullmatch(name) for name in claim.cdi_names)
    return next((cards[int(match[1])] for match in matches if match and int(match[1]) in cards), None)
