"""A node's hardware while it runs: cards come, go and change drivers, and the kernel tells whoever listens."""

from collections.abc import Mapping
from pathlib import Path

from xpu_simulator.errors import ImpossibleError, UnknownGpuError
from xpu_simulator.gpu import uevents
from xpu_simulator.node import Gpu, Node
from xpu_simulator.tree import SimulatedTree
from xpu_simulator.uevents import Uevent, UeventSender


class SimulatedNode:
    """The trees of a node below `root`, with all cards of its description, and the kernel's events to `listeners`."""

    def __init__(self, node: Node, root: Path, *listeners: Path) -> None:
        self.tree = SimulatedTree(root, cpus_per_numa_node=node.cpus_per_numa_node)
        self.deaf: tuple[Path, ...] = ()  # the listeners that missed the last events
        self._node = node
        self._kernel = UeventSender(*listeners)
        self._present: dict[str, Gpu] = {}
        for gpu in node.gpus:
            self.tree.add_gpu(gpu)
            self._present[gpu.name] = gpu

    @property
    def gpus(self) -> Mapping[str, Gpu | None]:
        """Every card of the description as it is now, None for one that is pulled out."""
        return {gpu.name: self._present.get(gpu.name) for gpu in self._node.gpus}

    def add(self, name: str) -> None:
        """Plug a card of the description in: sysfs and device files, the kernel's events, and then udev's links."""
        gpu = self._described(name)
        if name in self._present:
            raise ImpossibleError(f"{name} is there already")
        self._present[name] = gpu
        self.tree.add_gpu(gpu, by_path=False)
        self._tell(uevents(gpu, "add"))
        for function in (gpu, *gpu.virtual_functions):
            self.tree.add_by_path_links(function)

    def remove(self, name: str) -> None:
        gpu = self._present_gpu(name)
        del self._present[name]
        self.tree.remove_gpu(gpu)
        self._tell(uevents(gpu, "remove"))

    def rebind(self, name: str, driver: str) -> None:
        """Take a card from its driver and give it to another."""
        gpu = self._present_gpu(name)
        rebound = self._present[name] = self.tree.rebind(gpu, driver)
        self._tell([*uevents(gpu, "unbind"), *uevents(rebound, "bind")])

    def _tell(self, events: list[Uevent]) -> None:
        self.deaf = self._kernel.send(events)

    def _described(self, name: str) -> Gpu:
        try:
            return self._node.gpu(name)
        except KeyError as error:
            raise UnknownGpuError(error.args[0]) from None

    def _present_gpu(self, name: str) -> Gpu:
        self._described(name)
        if name not in self._present:
            raise ImpossibleError(f"{name} is not there")
        return self._present[name]
