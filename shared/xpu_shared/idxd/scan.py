"""One look at the work queues of a node: sysfs, /dev and what earlier looks saw, to the queues that are offered."""

# ruff: noqa: PTH119, PTH120 - the functions of os for paths that are text

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from xpu_shared.device import Device, DeviceNode, Problem, ScanResult
from xpu_shared.idxd import tree
from xpu_shared.idxd.accelerator import Accelerator
from xpu_shared.idxd.queue_files import WrongFileError, character_device, check_char_entry, is_orphan, number_of
from xpu_shared.idxd.queues import Memory, Queue
from xpu_shared.idxd.rules import resource_of
from xpu_shared.idxd.settings import IdxdSettings
from xpu_shared.kernel.device_files import is_simulated
from xpu_shared.kernel.sysfs import MalformedAttributeError, read_text
from xpu_shared.kernel.topology import TopologyError, numa_nodes

FILE_PATIENCE = 30.0  # seconds that an enabled queue may be without its device file before that is a problem
LINK_PATIENCE = 2.0  # seconds that udev may need for the link in /dev/char of a new device file


class NotOfferedError(Exception):
    """A queue that is not offered; `expected` when that is an ordinary sight, such as a disabled queue."""

    def __init__(self, reason: str, *, expected: bool = False) -> None:
        super().__init__(reason)
        self.expected = expected


@dataclass(kw_only=True)
class Look:
    """Filled queue by queue; afterwards it is what was found."""

    accelerator: Accelerator
    settings: IdxdSettings
    before: Memory
    monotonic: float  # now, in seconds, on the monotonic clock
    wall: float  # now, as Unix time: files are dated with it
    devices: int = 0
    disabled: int = 0  # queues
    queues: list[Queue] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    losses: dict[str, dict[str, str]] = field(default_factory=dict)  # by device type and id
    waiting: dict[str, float] = field(default_factory=dict)  # as in Memory
    again_in: list[float] = field(default_factory=list)  # seconds after which something may look different
    _numa_nodes_of: dict[str, tuple[int, ...]] = field(default_factory=dict)  # devices, by path

    def __post_init__(self) -> None:
        self._real_sysfs = os.path.realpath(self.settings.sysfs_root)

    @property
    def memory(self) -> Memory:
        """For the next look."""
        return Memory(offered={queue.name: queue for queue in self.queues}, waiting=self.waiting)

    @property
    def result(self) -> ScanResult:
        """For the framework."""
        devices: dict[str, list[Device]] = {}
        for queue in self.queues:
            devices.setdefault(queue.device_type, []).extend(queue.devices)
        again_in = min(self.again_in, default=None)
        return ScanResult(devices=devices, problems=tuple(self.problems), losses=self.losses, scan_again_in=again_in)

    def all_devices(self) -> None:
        """Look at everything; OSError when nothing can be seen."""
        names = tree.device_names(self.settings.sysfs_root, self.accelerator)
        self.devices = len(names)
        for name in names:
            self._device(name)

    def _device(self, name: str) -> None:
        # Resolved once: what is read below it needs no way through the links on the bus.
        path = os.path.realpath(f"{self.settings.sysfs_root}/{tree.BUS}/{name}")
        try:
            queues = tree.queue_names(path, name.removeprefix(self.accelerator.device), self.problems)
        except OSError as error:
            self.problems.append(Problem(subject=name, text=str(error), rejected=True))
            return
        state = self._device_state(path)
        for queue in queues:
            self._queue(path, queue, state)

    def _device_state(self, device: str) -> str:
        """Empty when it does not say: no reason to distrust its queues, which have states of their own."""
        try:
            return tree.word(f"{device}/state", tree.DEVICE_STATES)
        except FileNotFoundError:
            return ""
        except (OSError, MalformedAttributeError) as error:
            self._problem(os.path.basename(device), str(error))
            return "" if isinstance(error, OSError) else "in a state that the kernel does not document"

    def _queue(self, device: str, name: str, device_state: str) -> None:
        last = self.before.offered.get(name)
        trouble = f"{os.path.basename(device)} is {device_state}" if device_state not in ("", "enabled") else ""
        try:
            queue = self._offered(device, name, last)
        except NotOfferedError as error:
            if last is not None and trouble and device_state != "disabled":
                self.queues.append(replace(last, reason=trouble))  # a device that halts takes its queues away
                return
            self.problems.append(Problem(subject=name, text=str(error), rejected=True, expected=error.expected))
            self._lost(last, str(error))
            return
        except (OSError, MalformedAttributeError) as error:
            expected = isinstance(error, OSError)  # of a queue that is just being unbound
            self.problems.append(Problem(subject=name, text=str(error), rejected=True, expected=expected))
            self._lost(last, str(error))
            return
        if last is not None and last.device_type != queue.device_type:
            self._lost(last, f"its queue belongs to {queue.device_type} now")
        self.queues.append(replace(queue, reason=queue.reason or trouble))

    def _lost(self, last: Queue | None, reason: str) -> None:
        if last is not None:
            self.losses.setdefault(last.device_type, {}).update(dict.fromkeys(last.ids, reason))

    def _offered(self, device: str, name: str, last: Queue | None) -> Queue:
        """The queue as it is offered.

        Raises:
            NotOfferedError, OSError, MalformedAttributeError: it is not.
        """
        path = f"{device}/{name}"
        if tree.word(f"{path}/state", tree.QUEUE_STATES) == "disabled":
            self.disabled += 1
            raise NotOfferedError("its state is disabled", expected=True)
        mode, type_ = self._word(f"{path}/mode", tree.MODES), self._word(f"{path}/type", tree.TYPES)
        if type_ == "none":
            raise NotOfferedError("its type is none", expected=True)
        if type_ == "kernel" and not self.settings.advertise_kernel_wqs:
            raise NotOfferedError("--advertise-kernel-wqs=false: its type is kernel", expected=True)
        queue = Queue(
            name=name,
            device=os.path.basename(device),
            type=type_,
            mode=mode,
            resource=self._resource(name, path),
            slots=self._slots(name, path) if mode == "shared" else 1,
        )
        return self._with_files(queue, path, last) if type_ == "user" else queue

    def _slots(self, name: str, path: str) -> int:
        """How many containers may share a shared queue."""
        try:
            for rule in self.settings.shared_dev_num_rule:
                if rule.matches(lambda attribute: read_text(f"{path}/{attribute}")):
                    return rule.shares
        except (OSError, MalformedAttributeError) as error:
            self._problem(name, f"no rule of --shared-dev-num-rule is used: {error}")
        return self.settings.shared_dev_num

    def _resource(self, name: str, path: str) -> str:
        """What the queue's name adds to its resource's."""
        pattern = self.settings.resource_from_name
        if pattern is None:
            return ""
        try:
            return resource_of(pattern, read_text(f"{path}/name"))
        except (OSError, ValueError) as error:
            self._problem(name, f"--resource-from-name is not used: {error}")
            return ""

    def _word(self, attribute: str, known: tuple[str, ...]) -> str:
        """Of a queue that is enabled: what cannot be read is worth a warning."""
        try:
            return tree.word(attribute, known)
        except OSError as error:
            raise NotOfferedError(str(error)) from None

    def _with_files(self, queue: Queue, path: str, last: Queue | None) -> Queue:
        directory = f"{self.settings.dev_root}/{self.accelerator.device}"
        file = f"{directory}/{queue.name}"
        number = tree.character_number(path, self.accelerator)
        try:
            status = character_device(file, number, simulated=is_simulated(self.settings.dev_root))
        except FileNotFoundError:
            missing = self._missing(directory, file)
            if last is not None and last.device_type == queue.device_type:
                return replace(last, reason=missing)
            raise self._waits(queue.name, missing) from None
        except WrongFileError as error:
            raise NotOfferedError(f"{file}: {error}") from None
        except OSError as error:
            raise NotOfferedError(str(error)) from None
        device = os.path.dirname(path)
        nodes = [self._node(f"{self.accelerator.device}/{queue.name}")]
        number = number_of(status, number)
        entry = self._char_entry(queue.name, file, number, new_since=status.st_ctime, offered=last is not None)
        if entry is not None:
            nodes.append(self._node(entry))
        return replace(
            queue,
            nodes=tuple(nodes),
            numa_nodes=self._numa_nodes(queue.name, device, number),
            pci_address=tree.pci_address(device),
            label=self._label(path) if self.settings.inject_env else "",
        )

    def _missing(self, directory: str, file: str) -> str:
        if is_orphan(directory):
            return f"{directory} was removed and made anew on the host: mount /dev instead, or restart this container"
        return f"its device file {file} is missing"

    def _waits(self, name: str, missing: str) -> NotOfferedError:
        """The kernel enables a queue before it makes its file: ordinary at first, later a problem."""
        since = self.waiting[name] = self.before.waiting.get(name, self.monotonic)
        left = since + FILE_PATIENCE - self.monotonic
        if left > 0:
            self.again_in.append(left)
        return NotOfferedError(f"it is enabled, but {missing}", expected=left > 0)

    def _char_entry(
        self, name: str, file: str, number: tuple[int, int] | None, *, new_since: float, offered: bool
    ) -> str | None:
        """The queue's entry below /dev that goes by its number, None when it has to do without."""
        if number is None:
            self._problem(name, "handed out without an entry in /dev/char: sysfs does not say its number")
            return None
        entry = f"char/{number[0]}:{number[1]}"
        path = f"{self.settings.dev_root}/{entry}"
        try:
            check_char_entry(path, file, number, simulated=is_simulated(self.settings.dev_root))
        except FileNotFoundError:
            left = new_since + LINK_PATIENCE - self.wall
            if not offered and 0 < left <= LINK_PATIENCE:
                self.again_in.append(left)
                raise NotOfferedError(f"it waits for udev to make the link {path}", expected=True) from None
            reason = "there is no such link; is udev running?"
        except WrongFileError as error:
            reason = str(error)
        except OSError as error:
            reason = str(error.strerror)
        else:
            return entry
        if self.settings.require_char_link:
            raise NotOfferedError(f"--require-char-link: {path}: {reason}")
        self._problem(path, f"{name} is handed out without it: {reason}")
        return None

    def _numa_nodes(self, name: str, device: str, number: tuple[int, int] | None) -> tuple[int, ...]:
        """Those of the queue's device; of a tree whose bus has no links into devices/, by the file's number."""
        sysfs = self.settings.sysfs_root
        if number is not None and not device.startswith(f"{self._real_sysfs}/devices/"):
            return self._climb(name, Path(f"{sysfs}/dev/char/{number[0]}:{number[1]}"))
        if device not in self._numa_nodes_of:
            self._numa_nodes_of[device] = self._climb(os.path.basename(device), Path(device))
        return self._numa_nodes_of[device]

    def _climb(self, subject: str, start: Path) -> tuple[int, ...]:
        try:
            return numa_nodes(start, sysfs=self.settings.sysfs_root)
        except (TopologyError, OSError) as error:
            self._problem(subject, f"no NUMA node is told: {error}")
            return ()

    def _label(self, path: str) -> str:
        try:
            return read_text(f"{path}/name")
        except (OSError, MalformedAttributeError):
            return ""

    def _node(self, name: str) -> DeviceNode:
        return DeviceNode(host_path=f"{self.settings.host_dev_root}/{name}", container_path=f"/dev/{name}")

    def _problem(self, subject: str, text: str) -> None:
        self.problems.append(Problem(subject=subject, text=text))
