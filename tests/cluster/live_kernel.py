"""Simulated kernels that programs in containers reach: by writing to the plain files of a tree.

A plain file takes any text and tells nobody, while a kernel answers each write. So this looks again and again for
what was written, and does it. Provisioners wait only for what a bind, an unbind or virtual functions bring; until
then attributes just have to keep their text.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

from xpu_simulator.families.dlb.kernel import DlbKernel
from xpu_simulator.families.idxd.device import Dsa, Iaa
from xpu_simulator.families.idxd.kernel import IdxdKernel
from xpu_simulator.kernel.sysfs import SimulatedSysfs
from xpu_simulator.tree import SimulatedTree

PAUSE = 0.01  # seconds between two looks
COUNT = "sriov_numvfs"

Shown = Iterator[tuple[str, str]]  # attributes below sysfs, and what the kernel has there


def unconfigured(tree: SimulatedTree) -> IdxdKernel:
    """Two DSA and an IAA device as the driver leaves them when it is loaded."""
    kernel = IdxdKernel(tree, [Dsa(number=0), Dsa(number=10, pci_address="0000:6f:01.0"), Iaa(number=1)])
    for state in kernel.states.values():
        kernel.become(replace(state, state="disabled", queues=(), engines={}))
    return kernel


class LiveKernel:
    """At work for as long as its context lasts; what it refused is in `refused`."""

    def __init__(self, tree: SimulatedTree, kernel: IdxdKernel | DlbKernel) -> None:
        self.refused: list[str] = []
        self._tree = tree
        self._sysfs = SimulatedSysfs(tree, kernel)
        self._shown: Callable[[], Shown] = lambda: (
            attributes_of_idxd(kernel) if isinstance(kernel, IdxdKernel) else attributes_of_dlb(kernel)
        )
        self._orders = [path for verb in ("bind", "unbind") for path in tree.sysfs.glob(f"bus/*/drivers/*/{verb}")]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "LiveKernel":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(PAUSE):
            orders = [(path, text) for path in self._orders if (text := path.read_text().strip())]
            counted = any(self._read(path) != text for path, text in self._shown() if path.endswith(COUNT))
            if orders or counted:
                self._take_attributes()
            for path, text in orders:
                path.write_text("")
                self._write(str(path.relative_to(self._tree.sysfs)), text)

    def _take_attributes(self) -> None:
        """Those that somebody has written, in the kernel's order: a queue's type clears its name, which follows."""
        for path in [path for path, text in self._shown() if self._read(path) != text]:
            self._write(path, self._read(path))

    def _read(self, path: str) -> str:
        return (self._tree.sysfs / path).read_text().strip()

    def _write(self, path: str, text: str) -> None:
        try:
            self._sysfs.write(path, text)
        except OSError as error:
            self.refused.append(f"{path}: {text!r}: {error.strerror}")


def attributes_of_idxd(kernel: IdxdKernel) -> Shown:
    for state in kernel.states.values():
        for name, attributes in ((state.name, state.device()), *state.directories()):
            for attribute, text in attributes.items():
                yield f"bus/dsa/devices/{name}/{attribute}", text


def attributes_of_dlb(kernel: DlbKernel) -> Shown:
    for address, state in kernel.states.items():
        yield f"bus/pci/devices/{address}/{COUNT}", str(len(state.functions))
        for number, function in enumerate(state.functions):
            for name, amount in function.resources.items():
                yield f"bus/pci/devices/{address}/vf{number}_resources/{name}", str(amount)
