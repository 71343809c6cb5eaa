"""A node's hardware while it runs: devices come, go and change drivers, and the kernel tells whoever listens."""

from collections.abc import Mapping
from pathlib import Path

from xpu_simulator.device import SimulatedDevice, uevents
from xpu_simulator.errors import ImpossibleError, UnknownDeviceError
from xpu_simulator.fabric.description import End
from xpu_simulator.fabric.state import FabricState, LinkState
from xpu_simulator.fabric.xpu_manager import page
from xpu_simulator.families.gpu.device import Gpu
from xpu_simulator.level_zero.faults import Fault
from xpu_simulator.level_zero.node_library import NodeLibrary
from xpu_simulator.node import Node
from xpu_simulator.tree import SimulatedTree
from xpu_simulator.uevents import Uevent, UeventSender


class SimulatedNode:
    """The trees of a node below `root`, with all devices of its description, and the kernel's events to `listeners`."""

    def __init__(self, node: Node, root: Path, *listeners: Path) -> None:
        self.tree = SimulatedTree(root, cpus_per_numa_node=node.cpus_per_numa_node)
        self.deaf: tuple[Path, ...] = ()  # the listeners that missed the last events
        self._node = node
        self._kernel = UeventSender(*listeners)
        self._present: dict[str, SimulatedDevice] = {}
        for device in node.devices:
            self.tree.add(device)
            self._present[device.name] = device
        self.fabric = FabricState(node.joints)
        self.library = NodeLibrary(root / "level-zero")
        self._tell([])

    @property
    def devices(self) -> Mapping[str, Mapping[str, SimulatedDevice | None]]:
        """By their family's title every device of the description by name as it is now, None for one pulled out."""
        families: dict[str, dict[str, SimulatedDevice | None]] = {}
        for device in self._node.devices:
            families.setdefault(device.title, {})[device.name] = self._present.get(device.name)
        return families

    def add(self, name: str) -> None:
        """Plug a device of the description in: sysfs and device files, the kernel's events, and then udev's links."""
        device = self._described(name)
        if name in self._present:
            raise ImpossibleError(f"{name} is there already")
        self._present[name] = device
        self.tree.add(device, udev=False)
        self._tell(uevents(device, "add"))
        self.tree.add_udev_links(device)

    def remove(self, name: str) -> None:
        device = self._present_device(name)
        del self._present[name]
        self.tree.remove(device)
        self._tell(uevents(device, "remove"))

    def rebind(self, name: str, driver: str) -> None:
        """Take a device from its driver and give it to another."""
        device = self._present_device(name)
        if driver not in device.drivers:
            raise UnknownDeviceError(driver_refused(device, driver))
        rebound = self._present[name] = self.tree.rebind(device, driver)
        self._tell([*uevents(device, "unbind"), *uevents(rebound, "bind")])

    def fault(self, name: str, fault: Fault, *, clear: bool = False) -> Fault:
        """Something is wrong with a GPU, or no longer; what is wrong with it now."""
        if not isinstance(self._described(name), Gpu):
            raise UnknownDeviceError(f"{name} is no GPU, and only GPUs have sensors")
        now = self.library.fault(name, fault, clear=clear)
        self._show()
        return now

    def fault_link(self, a: End, b: End, state: LinkState) -> None:
        """A link breaks, gets worse or comes back; UnknownDeviceError when there is none."""
        for end in (a, b):
            self._described(end.gpu)
        self.fabric.set(a, b, state)
        self._show()

    def xpu_manager_page(self) -> str:
        """What an XPU Manager on this node would export now."""
        return page(list(self._present.values()), self.fabric)

    def _tell(self, events: list[Uevent]) -> None:
        """The kernel's listeners hear of a change, and the driver's library knows of it."""
        self._show()
        self.deaf = self._kernel.send(events)

    def _show(self) -> None:
        names = [gpu.name for gpu in self._node.gpus]
        self.library.show(self._present.values(), self.fabric.ports(list(self._present), names))

    def _described(self, name: str) -> SimulatedDevice:
        try:
            return self._node.device(name)
        except KeyError as error:
            raise UnknownDeviceError(error.args[0]) from None

    def _present_device(self, name: str) -> SimulatedDevice:
        self._described(name)
        if name not in self._present:
            raise ImpossibleError(f"{name} is not there")
        return self._present[name]


def driver_refused(device: SimulatedDevice, driver: str) -> str:
    allowed = f"expected {', '.join(device.drivers)}" if device.drivers else "it cannot be rebound"
    return f"driver {driver!r} of {device.name}: {allowed}"
