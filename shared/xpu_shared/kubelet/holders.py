"""Containers that hold devices, as values: gRPC is in `pod_resources.py`."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Holder:
    """A container that was given a device."""

    namespace: str
    pod: str
    container: str


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """A device that was allocated by a DRA driver instead of a device plugin."""

    driver: str
    device: str
    cdi_names: tuple[str, ...] = ()


# Holders of a device by its resource and id. Several: a device of an init container is used again in its pod.
Holders = Mapping[tuple[str, str], frozenset[Holder]]
Claims = Mapping[Claim, frozenset[Holder]]
