"""A node's fabric while it runs: links break, get worse and come back; who tells of it asks here."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from xpu_simulator.errors import UnknownDeviceError
from xpu_simulator.fabric.description import End, Joint

LinkState = Literal["up", "degraded", "down"]
PORT_STATES: Mapping[LinkState, int] = {"up": 1, "degraded": 2, "down": 3}  # of the library
FAILED = 1  # why a port is down
RATE = 53_000_000_000  # bit/s of a lane


class PortId(NamedTuple):
    fabric: int
    attach: int
    number: int

    def __str__(self) -> str:
        return f"{self.fabric},{self.attach},{self.number}"


class Port(NamedTuple):
    """One end of a link."""

    place: End
    id: PortId
    remote: PortId | None  # None: it is not connected
    status: int
    lanes: int


class FabricState:
    def __init__(self, joints: Sequence[Joint]) -> None:
        self._joints = joints
        self._states: dict[frozenset[End], LinkState] = {}

    def set(self, a: End, b: End, state: LinkState) -> None:
        """UnknownDeviceError when there is no such link."""
        pair = frozenset((a, b))
        if not any({joint.a, joint.b} == pair for joint in self._joints):
            others = [str(joint.b if joint.a == a else joint.a) for joint in self._joints if a in joint[:2]]
            known = f"{a} is linked with {', '.join(others)}" if others else f"{a} has no links"
            raise UnknownDeviceError(f"there is no link {a} {b}; {known}")
        self._states[pair] = state

    def state(self, joint: Joint) -> LinkState:
        return self._states.get(frozenset((joint.a, joint.b)), "up")

    def links(self, present: Sequence[str]) -> Iterator[tuple[Joint, LinkState]]:
        """Those between GPUs that are there, by name."""
        for joint in self._joints:
            if joint.a.gpu in present and joint.b.gpu in present:
                yield joint, self.state(joint)

    def ports(self, present: Sequence[str], order: Sequence[str]) -> dict[str, list[Port]]:
        """The ports of each GPU that is there; `order` are all GPUs of the node, which numbers fabrics."""
        numbers: dict[End, int] = {}
        ports: dict[str, list[Port]] = {}

        def next_id(place: End) -> PortId:
            numbers[place] = numbers.get(place, 0) + 1
            return PortId(order.index(place.gpu) + 1, place.tile, numbers[place])

        for joint in self._joints:
            ids = {place: next_id(place) for place in (joint.a, joint.b)}
            connected = joint.a.gpu in present and joint.b.gpu in present
            state = self.state(joint) if connected else "down"
            for place, other in ((joint.a, joint.b), (joint.b, joint.a)):
                if place.gpu in present:
                    remote = None if state == "down" else ids[other]
                    ports.setdefault(place.gpu, []).append(
                        Port(place, ids[place], remote, PORT_STATES[state], joint.lanes)
                    )
        return ports
