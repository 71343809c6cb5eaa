"""The drivers of DSA and IAA over a simulated tree: writes change a device's state, and the tree shows it."""

import errno
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from xpu_simulator.entries import Entry
from xpu_simulator.families.idxd.device import IdxdDevice
from xpu_simulator.families.idxd.layout import BUS, IdxdLayout
from xpu_simulator.families.idxd.state import IdxdState
from xpu_simulator.families.idxd.writes import CommandFailedError, disabled, enabled, stored
from xpu_simulator.kernel.sysfs import change, driver_files, refused
from xpu_simulator.kernel_device import SYS
from xpu_simulator.tree import SimulatedTree

PCI = SYS / "bus/pci"
QUEUE_DRIVERS = ("user", "dmaengine", "crypto")
PCI_DRIVERS = ("idxd", "vfio-pci")
NO_OVERRIDE = "(null)"
MEMBER = re.compile(r"(?:dsa|iax|wq)([0-9]+)(?:\.[0-9]+)?")


@dataclass(slots=True)
class _Function:
    """A PCI function, with what its driver has made of it."""

    device: IdxdDevice
    driver: str = ""  # empty: none
    override: str = ""
    state: IdxdState | None = None  # while idxd has it


class IdxdKernel:
    """DSA and IAA devices of a tree; they are added to it here."""

    def __init__(self, tree: SimulatedTree, devices: Iterable[IdxdDevice]) -> None:
        self._tree = tree
        self._functions: dict[str, _Function] = {}  # by address
        driver_files(tree, BUS, ("idxd", *QUEUE_DRIVERS))
        driver_files(tree, PCI, PCI_DRIVERS)
        for device in devices:
            function = self._functions[device.pci_address] = _Function(device)
            tree.write(device.on_bus(cpus_per_numa_node=tree.cpus_per_numa_node))
            self._override(function, "")
            self._bind(function, device.driver, device.idxd_state)

    @property
    def states(self) -> dict[str, IdxdState]:
        """Of the devices that idxd has, by name."""
        return {one.state.name: one.state for one in self._functions.values() if one.state is not None}

    def become(self, state: IdxdState) -> None:
        """Something else than a write happens to a device: a client opens a queue, the device halts."""
        self._show(self._owner(state.name), state)

    def write(self, path: PurePosixPath, text: str) -> bool:
        match path.parts:
            case ("bus", "dsa", "drivers", driver, file):
                self._bus_driver(driver, file, text, path)
            case ("bus", "pci", "drivers", driver, file) if driver in PCI_DRIVERS:
                self._pci_driver(driver, file, text, path)
            case (*_, address, "driver_override") if address in self._functions:
                self._override(self._functions[address], text)
            case (*above, directory, attribute):
                owner = next((one for one in self._functions.values() if one.device.pci_address in above), None)
                if owner is None or owner.state is None:
                    return False
                self._show(owner, stored(owner.state, directory, attribute, text))
            case _:
                return False
        return True

    def _owner(self, name: str) -> _Function:
        return next(one for one in self._functions.values() if one.state is not None and one.state.name == name)

    def _bus_driver(self, driver: str, file: str, name: str, path: PurePosixPath) -> None:
        match = MEMBER.fullmatch(name)
        states = [state for state in self.states.values() if match and str(state.number) == match[1]]
        names = [(state, {state.name, *map(state.queue_name, state.all_queues)}) for state in states]
        state = next((state for state, members in names if name in members), None)
        if state is None:
            raise refused(errno.ENODEV, path)
        owner = self._owner(state.name)
        try:
            self._show(owner, enabled(state, name, driver) if file == "bind" else disabled(state, name))
        except CommandFailedError as error:
            self._show(owner, error.state)
            raise

    def _pci_driver(self, driver: str, file: str, address: str, path: PurePosixPath) -> None:
        function = self._functions.get(address)
        if function is None or (file == "unbind" and function.driver != driver):
            raise refused(errno.ENODEV, path)
        if file == "unbind":
            return self._unbind(function)
        if function.driver:
            raise refused(errno.EBUSY, path)
        if function.override != driver and (function.override or driver != "idxd"):
            raise refused(errno.ENODEV, path)  # without an override vfio-pci does not know the function
        state = function.device.idxd_state
        return self._bind(function, driver, replace(state, state="disabled", queues=(), engines={}, groups={}))

    def _bind(self, function: _Function, driver: str, state: IdxdState) -> None:
        function.driver, function.device = driver, function.device.rebound(driver)
        if driver == "idxd":
            self._tree.write(function.device.function.bound())
            self._show(function, state)
        else:
            self._tree.bind(function.device)

    def _unbind(self, function: _Function) -> None:
        if function.driver == "idxd":
            self._tree.erase(self._entries(function, function.state))
            self._tree.erase(function.device.function.bound())
            function.state = None
        else:
            self._tree.unbind(function.device)
        function.driver = ""

    def _show(self, function: _Function, state: IdxdState) -> None:
        before = function.state
        if before is not None and _bindings(before) == _bindings(state):
            for path, text in _texts(before, state, function.device.directory):
                (self._tree.root / path).write_text(f"{text}\n", encoding="utf-8")
        else:
            change(self._tree, self._entries(function, before), self._entries(function, state))
        function.state = state

    def _entries(self, function: _Function, state: IdxdState | None) -> list[Entry]:
        if state is None:
            return []
        layout = IdxdLayout(state, function.device.directory)
        return [*layout.entries(), *layout.udev_links()]

    def _override(self, function: _Function, driver: str) -> None:
        function.override = driver
        file = self._tree.root / function.device.function.path / "driver_override"
        file.write_text(f"{driver or NO_OVERRIDE}\n")


def _bindings(state: IdxdState) -> object:
    """What decides which files and links there are."""
    return (
        state.state == "disabled",
        state.tokens,
        [(queue.number, queue.driver) for queue in state.queues if queue.enabled],
    )


def _texts(before: IdxdState, after: IdxdState, device: PurePosixPath) -> Iterator[tuple[PurePosixPath, str]]:
    """The attributes that read differently; all of them are in both."""
    directories = zip(
        ((before.name, before.device()), *before.directories()),
        ((after.name, after.device()), *after.directories()),
        strict=True,
    )
    for (name, old), (_, new) in directories:
        for attribute, text in new.items():
            if old[attribute] != text:
                yield (device if name == after.name else device / name) / attribute, text
