"""What a family of devices tells the simulator of each of its devices.

A family is a package in `families/`: a pydantic model whose fields a node's description may give, with the members of
`SimulatedDevice`. They are values only: `tree.py` writes entries, `simulated_node.py` sends events.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

from xpu_simulator.entries import Entry
from xpu_simulator.uevents import Uevent


@dataclass(frozen=True, slots=True)
class Claim:
    """What only one device of a node can have, such as `pci_address` 0000:17:00.0."""

    key: str
    value: object
    part: str = ""  # which part of the device has it, such as "virtual function 2"


class SimulatedDevice(Protocol):
    """Four stages, because that is how a device comes and goes: on its bus, taken by a driver, and later udev's links.

    Each stage is entries in the order in which they appear, the last one first when they go.
    """

    title: ClassVar[str]  # of the family, as a heading: "GPUs"

    @property
    def name(self) -> str:
        """What scenarios and commands call it."""

    @property
    def driver(self) -> str:
        """Which driver has it."""

    @property
    def drivers(self) -> Sequence[str]:
        """Those it may be rebound to."""

    @property
    def parts(self) -> Sequence[Self]:
        """Itself, and behind it what comes and goes with it and has a driver of its own: virtual functions."""

    def claims(self) -> Iterator[Claim]:
        """With those of its parts."""

    def on_bus(self, *, cpus_per_numa_node: int) -> Iterator[Entry]:
        """What is there of it, with its parts, whatever its driver."""

    def driven(self) -> Iterator[Entry]:
        """What its driver adds, and then the files that the kernel makes in /dev."""

    def udev_links(self) -> Iterator[Entry]:
        """The links udev makes, some milliseconds after the kernel's events."""

    def own_uevents(self, action: str) -> list[Uevent]:
        """The kernel's events, in order and without those of its parts, when it comes or goes or its driver does.

        `action` is add, remove, bind or unbind; add has those of bind too, and remove those of unbind.
        """

    def rebound(self, driver: str) -> Self:
        """As it is with another driver, one of `drivers`."""


def uevents(device: SimulatedDevice, action: str) -> list[Uevent]:
    """The kernel's events in order; `action` is add, remove, bind or unbind.

    Parts come and go with their device; they keep their drivers when its own changes.
    """
    match action:
        case "add":
            parts = device.parts
        case "remove":
            parts = tuple(reversed(device.parts))
        case _:
            return device.own_uevents(action)
    return [event for part in parts for event in part.own_uevents(action)]
