"""The driver dlb2 over a simulated tree: virtual functions come and go, and shares move, by writes."""

import errno
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from xpu_simulator.entries import Attribute, Entry
from xpu_simulator.families.dlb.description import TOTAL_VFS
from xpu_simulator.families.dlb.device import Dlb
from xpu_simulator.kernel.sysfs import change, driver_files, refused
from xpu_simulator.kernel_device import SYS
from xpu_simulator.pci import following_address
from xpu_simulator.tree import SimulatedTree

PCI = SYS / "bus/pci"
DRIVER = "dlb2"
SHARE = re.compile(r"vf([0-9]+)_resources")
NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualState:
    address: str
    number: int | None = None  # of its device; None: no driver has it
    override: str = ""
    resources: Mapping[str, int] = field(default_factory=dict)
    in_use: bool = False  # a process has it open


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicalState:
    device: Dlb  # without virtual functions
    functions: tuple[VirtualState, ...] = ()
    autoprobe: bool = True

    @property
    def available(self) -> dict[str, int]:
        """What it has not given away."""
        given = (function.resources for function in self.functions)
        totals = dict(self.device.resources)
        for resources in given:
            for name, amount in resources.items():
                totals[name] -= amount
        return totals

    def with_function(self, function: VirtualState) -> "PhysicalState":
        functions = tuple(function if other.address == function.address else other for other in self.functions)
        return replace(self, functions=functions)


class DlbKernel:
    """Load balancers of a tree; they are added to it here, each with `vfs` 0."""

    def __init__(self, tree: SimulatedTree, devices: Iterable[Dlb]) -> None:
        self._tree = tree
        self.states: dict[str, PhysicalState] = {}  # by address
        driver_files(tree, PCI, (DRIVER,))
        for device in devices:
            self._show(PhysicalState(device=device))

    def become(self, state: PhysicalState) -> None:
        """Something else than a write happens: a process opens a function, a crash has left things half done."""
        self._show(state)

    def write(self, path: PurePosixPath, text: str) -> bool:
        match path.parts:
            case ("bus", "pci", "drivers", driver, ("bind" | "unbind") as file) if driver == DRIVER:
                self._driver(file, text, path)
            case (*_, address, attribute) if address in self.states:
                self._physical(self.states[address], attribute, text, path)
            case (*_, address, "driver_override") if found := self._find(address):
                self._show(found[0].with_function(replace(found[1], override=text)))
            case (*_, address, directory, name) if address in self.states and (match := SHARE.fullmatch(directory)):
                self._share(self.states[address], int(match[1]), name, text, path)
            case _:
                return False
        return True

    def _find(self, address: str) -> tuple[PhysicalState, VirtualState] | None:
        pairs = ((state, function) for state in self.states.values() for function in state.functions)
        return next(((state, function) for state, function in pairs if function.address == address), None)

    def _physical(self, state: PhysicalState, attribute: str, text: str, path: PurePosixPath) -> None:
        if attribute == "sriov_drivers_autoprobe" and text in ("0", "1"):
            return self._show(replace(state, autoprobe=text == "1"))
        if attribute != "sriov_numvfs":
            raise refused(errno.EACCES, path)
        if not NUMBER.fullmatch(text):
            raise refused(errno.EINVAL, path)
        count, present = int(text), len(state.functions)
        if count > TOTAL_VFS:
            raise refused(errno.ERANGE, path)
        if count == present:
            return None
        if count and present:
            raise refused(errno.EBUSY, path)
        if any(function.in_use for other in self.states.values() for function in other.functions):
            raise refused(errno.EINVAL, path)  # one that is in use keeps all of the host
        functions: list[VirtualState] = []
        for place in range(1, count + 1):
            taken = [function.number for function in functions if function.number is not None]
            functions.append(
                VirtualState(
                    address=following_address(state.device.pci_address, place),
                    number=self._free_number(*taken) if state.autoprobe else None,
                    resources=dict.fromkeys(state.device.resources, 0),
                )
            )
        return self._show(replace(state, functions=tuple(functions)))

    def _free_number(self, *taken: int) -> int:
        numbers = {state.device.number for state in self.states.values()} | set(taken)
        numbers |= {
            function.number
            for state in self.states.values()
            for function in state.functions
            if function.number is not None
        }
        return next(number for number in range(len(numbers) + 1) if number not in numbers)

    def _driver(self, file: str, address: str, path: PurePosixPath) -> None:
        found = self._find(address)
        if found is None:
            raise refused(errno.ENODEV, path)
        state, function = found
        if file == "unbind":
            if function.number is None:
                raise refused(errno.ENODEV, path)
            return self._show(state.with_function(replace(function, number=None, in_use=False)))
        if function.number is not None:
            raise refused(errno.EBUSY, path)
        if not state.autoprobe and function.override != DRIVER:
            raise refused(errno.ENODEV, path)
        return self._show(state.with_function(replace(function, number=self._free_number())))

    def _share(self, state: PhysicalState, place: int, name: str, text: str, path: PurePosixPath) -> None:
        function = state.functions[place]
        if name not in function.resources:
            raise refused(errno.EACCES, path)
        if function.number is not None or not NUMBER.fullmatch(text):
            raise refused(errno.EPERM, path)
        amount = int(text)
        if amount - function.resources[name] > state.available[name]:
            raise refused(errno.EINVAL, path)
        changed = state.with_function(replace(function, resources={**function.resources, name: amount}))
        # One that no driver has shows its amounts nowhere else.
        directory = self._tree.root / state.device.function.path
        for file, value in ((f"vf{place}_resources", amount), ("avail_resources", changed.available[name])):
            (directory / file / name).write_text(f"{value}\n")
        self.states[state.device.pci_address] = changed

    def _show(self, state: PhysicalState) -> None:
        address = state.device.pci_address
        before = self.states.get(address)
        cpus = self._tree.cpus_per_numa_node
        old = list(_entries(before, cpus)) if before is not None else []
        change(self._tree, old, _entries(state, cpus))
        self.states[address] = state


def _entries(state: PhysicalState, cpus: int) -> Iterator[Entry]:
    """All that the tree shows of a load balancer and its virtual functions."""
    able = state.device.vfs is not None
    device = state.device.model_copy(update={"vfs": len(state.functions) if able else None})
    path = device.function.path
    yield from device.on_bus(cpus_per_numa_node=cpus)
    yield Attribute(path / "sriov_drivers_autoprobe", str(int(state.autoprobe)))
    yield Attribute(path / "sriov_offset", "1")
    yield Attribute(path / "sriov_stride", "1")
    for entry in device.driven():
        yield _with_amounts(entry, state, path)
    for part, function in zip(device.virtual_functions, state.functions, strict=True):
        yield Attribute(part.function.path / "driver_override", function.override or "(null)")
        if function.number is not None:
            yield from part.model_copy(
                update={"number": function.number, "resources": dict(function.resources)}
            ).driven()


def _with_amounts(entry: Entry, state: PhysicalState, path: PurePosixPath) -> Entry:
    """The entry, with the amounts that are really given."""
    if not isinstance(entry, Attribute) or entry.path.parent.parent != path:
        return entry
    directory, name = entry.path.parent.name, entry.path.name
    if directory == "avail_resources" and name in state.available:
        return Attribute(entry.path, str(state.available[name]))
    if match := SHARE.fullmatch(directory):
        function = state.functions[int(match[1])]
        values = {**function.resources, "locked": int(function.number is not None)}
        return Attribute(entry.path, str(values.get(name, entry.text)))
    return entry
