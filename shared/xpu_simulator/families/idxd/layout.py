"""Where the state of an idxd device is seen: its directories in sysfs, its queues' files, udev's links to them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from xpu_simulator.entries import Attribute, Directory, Entry, Link
from xpu_simulator.families.idxd.state import Attributes, IdxdState, WorkQueue
from xpu_simulator.kernel_device import DEV, SYS, KernelDevice

BUS = SYS / "bus/dsa"


@dataclass(frozen=True, slots=True)
class IdxdLayout:
    state: IdxdState
    path: PurePosixPath  # the device's directory

    def entries(self) -> Iterator[Entry]:
        """The device's directory, then its engines, groups and queues, each with its link on the bus, then files."""
        state = self.state
        yield from self._directory(self.path, state.device(), driver="idxd" if state.state != "disabled" else "")
        drivers = {state.queue_name(queue): queue.driver for queue in state.all_queues if queue.enabled}
        for name, attributes in state.directories():
            yield from self._directory(self.path / name, attributes, driver=drivers.get(name, ""))
        for queue in self.queues_with_files:
            yield Directory(self.file(queue).path)
            yield from self.file(queue).entries()
        yield from (self.file(queue).file for queue in self.queues_with_files)

    def udev_links(self) -> Iterator[Entry]:
        for queue in self.queues_with_files:
            file = self.file(queue)
            yield Link(DEV / "char" / file.number, file.file.path)

    @property
    def queues_with_files(self) -> Sequence[WorkQueue]:
        return [queue for queue in self.state.queues if queue.has_file]

    def file(self, queue: WorkQueue) -> KernelDevice:
        name = self.state.queue_name(queue)
        return KernelDevice(
            path=self.path / name / f"{self.state.kind}!{name}",
            subsystem=BUS,
            number=self.state.number_of_file(queue),
            node=f"{self.state.kind}/{name}",
            own_number=True,
        )

    def _directory(self, path: PurePosixPath, attributes: Attributes, *, driver: str) -> Iterator[Entry]:
        yield Directory(path)
        for name, text in attributes.items():
            yield Attribute(path / name, text)
        yield Link(path / "subsystem", BUS)
        yield Link(BUS / "devices" / path.name, path)
        if driver:
            yield Link(path / "driver", BUS / "drivers" / driver)
            yield Link(BUS / "drivers" / driver / path.name, path)
