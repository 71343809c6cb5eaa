"""What the driver idxd does with a write: another state of the device, or the kernel's refusal. Functions of values.

As in Linux 6: attributes are writable while the device, or for most of a queue's the queue, is disabled; queues are
enabled after their device; disabling sets things back.
"""

import errno
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from xpu_simulator.families.idxd.state import (
    MAX_BATCH_SIZE,
    MAX_READ_BUFFERS,
    MAX_TRANSFER_SIZE,
    OPERATIONS,
    TOKENS,
    Group,
    IdxdState,
    WorkQueue,
)

NUMBER = re.compile(r"[+-]?(?:0x[0-9a-fA-F]+|[0-9]+)")
LONGEST_NAME, LONGEST_DRIVER_NAME = 1024, 128
NO_GROUP, NO_NAME, NO_SVM, NO_THRESHOLD = 0x80030000, 0x80040000, 0x80050000, 0x80060000
NO_QUEUE, NO_SIZE, NO_DRIVER_NAME = 0x800D0000, 0x800E0000, 0x80200000
GROUP_INCOMPLETE, PRIORITY_ZERO = 0x15, 0x23

OF_TOKENS = {old: new for new, old in TOKENS.items()}


class CommandFailedError(OSError):
    """A bind that failed; the device says why, and is in another state than before."""

    def __init__(self, number: int, state: IdxdState) -> None:
        super().__init__(number, os.strerror(number))
        self.state = state


def refuse(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def stored(state: IdxdState, directory: str, attribute: str, text: str) -> IdxdState:
    """The state after a write to an attribute; OSError.

    Args:
        directory: of the device, such as wq0.1; the device's own is its name.
    """
    if state.tokens:
        if attribute in TOKENS:
            raise refuse(errno.ENOENT)
        attribute = OF_TOKENS.get(attribute, attribute)
    if directory == state.name:
        return _device(state, attribute, text)
    kind, number = re.fullmatch(r"(wq|group|engine)[0-9]+\.([0-9]+)", directory).groups()  # type: ignore[union-attr]
    match kind:
        case "wq":
            return _with_queue(state, _queue(state, queue_of(state, int(number)), attribute, text))
        case "group":
            return _group(state, int(number), attribute, text)
        case _:
            return _engine(state, int(number), attribute, text)


def _device(state: IdxdState, attribute: str, text: str) -> IdxdState:
    if attribute == "cmd_status":
        return replace(state, command_status=0)
    if attribute != "read_buffer_limit" or state.kind != "dsa":
        raise refuse(errno.EACCES)
    _check_disabled(state)
    return replace(state, read_buffer_limit=_bounded(text, 0, MAX_READ_BUFFERS))


def _check_disabled(state: IdxdState) -> None:
    if state.state == "enabled" or not state.configurable:
        raise refuse(errno.EPERM)


def _group(state: IdxdState, number: int, attribute: str, text: str) -> IdxdState:
    group = state.groups.get(number, Group())
    if attribute not in Group.__dataclass_fields__ or (state.kind != "dsa" and "buffer" in attribute):
        raise refuse(errno.EACCES)
    _check_disabled(state)
    reserved = sum(other.read_buffers_reserved for other in state.groups.values())
    free = MAX_READ_BUFFERS - reserved + group.read_buffers_reserved
    engines = sum(of == number for of in state.engines.values())
    match attribute:
        case "read_buffers_reserved":
            changed = replace(group, read_buffers_reserved=_bounded(text, 0, free))
        case "read_buffers_allowed":
            changed = replace(group, read_buffers_allowed=_bounded(text, 4 * engines, free))
        case "use_read_buffer_limit":
            if not state.read_buffer_limit:
                raise refuse(errno.EPERM)
            changed = replace(group, use_read_buffer_limit=bool(_bounded(text, 0, 1)))
        case "desc_progress_limit":
            changed = replace(group, desc_progress_limit=_bounded(text, 0, 3))
        case "batch_progress_limit":
            changed = replace(group, batch_progress_limit=_bounded(text, 0, 3))
        case _:
            if state.version <= 0x2FF:
                raise refuse(errno.EPERM)
            value = _bounded(text, 0, 7)
            changed = replace(group, **{attribute: value})  # type: ignore[arg-type]  # traffic_class_a or _b
    return replace(state, groups={**state.groups, number: changed})


def _engine(state: IdxdState, number: int, attribute: str, text: str) -> IdxdState:
    if attribute != "group_id":
        raise refuse(errno.EACCES)
    if not state.configurable:
        raise refuse(errno.EPERM)
    return replace(state, engines={**state.engines, number: _bounded(text, -1, state.max_groups - 1)})


def queue_of(state: IdxdState, number: int) -> WorkQueue:
    return next(queue for queue in state.all_queues if queue.number == number)


def _with_queue(state: IdxdState, queue: WorkQueue) -> IdxdState:
    others = [other for other in state.queues if other.number != queue.number]
    return replace(state, queues=tuple(sorted([*others, queue], key=lambda one: one.number)))


def _queue(state: IdxdState, queue: WorkQueue, attribute: str, text: str) -> WorkQueue:
    store = STORES.get(attribute)
    if store is None or (state.kind != "dsa" and attribute == "max_batch_size"):
        raise refuse(errno.EACCES)
    if attribute in ("group_id", "size") and state.state == "enabled":
        raise refuse(errno.EPERM)
    if queue.enabled:
        raise refuse(errno.ENXIO if attribute in ("block_on_fault", "threshold") else errno.EPERM)
    if not state.configurable and attribute not in ("name", "driver_name", "type"):
        raise refuse(errno.EPERM)
    return store(state, queue, text)


def _group_id(state: IdxdState, queue: WorkQueue, text: str) -> WorkQueue:
    return replace(queue, group=_bounded(text, -1, state.max_groups - 1))


def _mode(state: IdxdState, queue: WorkQueue, text: str) -> WorkQueue:
    if text == "dedicated":
        return replace(queue, mode=text, threshold=0)
    if text != "shared" or not state.pasid_enabled:
        raise refuse(errno.EINVAL)
    return replace(queue, mode=text)


def _type(_: IdxdState, queue: WorkQueue, text: str) -> WorkQueue:
    if text not in ("none", "kernel", "user"):
        raise refuse(errno.EINVAL)
    return replace(queue, type=text, name=queue.name if text == queue.type else "")


def _size(state: IdxdState, queue: WorkQueue, text: str) -> WorkQueue:
    others = sum(other.size for other in state.queues if other.number != queue.number)
    return replace(queue, size=_bounded(text, 0, state.max_work_queues_size - others))


def _threshold(_: IdxdState, queue: WorkQueue, text: str) -> WorkQueue:
    if queue.mode != "shared":
        raise refuse(errno.EINVAL)
    return replace(queue, threshold=_bounded(text, 1, queue.size))


def _name(_: IdxdState, queue: WorkQueue, text: str) -> WorkQueue:
    if len(text.encode()) > LONGEST_NAME:
        raise refuse(errno.EINVAL)
    return replace(queue, name=text.strip())


def _driver_name(_: IdxdState, queue: WorkQueue, text: str) -> WorkQueue:
    if len(text) > LONGEST_DRIVER_NAME:
        raise refuse(errno.EINVAL)
    return replace(queue, driver_name=text)


def _operations(state: IdxdState, queue: WorkQueue, text: str) -> WorkQueue:
    if not re.fullmatch(r"[0-9a-f]{1,8}(,[0-9a-f]{1,8})*", text) or _bits(text) & ~_bits(OPERATIONS[state.kind]):
        raise refuse(errno.EINVAL)
    return replace(queue, op_config=text)


def _bits(text: str) -> int:
    return int("".join(word.zfill(8) for word in text.split(",")), base=16)


STORES: Mapping[str, Callable[[IdxdState, WorkQueue, str], WorkQueue]] = {
    "group_id": _group_id,
    "mode": _mode,
    "type": _type,
    "size": _size,
    "priority": lambda _, queue, text: replace(queue, priority=_bounded(text, 0, 15)),
    "block_on_fault": lambda _, queue, text: replace(queue, block_on_fault=bool(_bounded(text, 0, 1))),
    "ats_disable": lambda _, queue, text: replace(queue, ats_disable=bool(_bounded(text, 0, 1))),
    "prs_disable": lambda _, queue, text: replace(queue, prs_disable=bool(_bounded(text, 0, 1))),
    "max_transfer_size": lambda _, queue, text: replace(queue, max_transfer_size=_rounded(text, MAX_TRANSFER_SIZE)),
    "max_batch_size": lambda _, queue, text: replace(queue, max_batch_size=_rounded(text, MAX_BATCH_SIZE)),
    "op_config": _operations,
    "driver_name": _driver_name,
    "name": _name,
    "threshold": _threshold,
}


def _bounded(text: str, minimum: int, maximum: int) -> int:
    if not NUMBER.fullmatch(text) or not minimum <= (value := int(text, base=16 if "x" in text else 10)) <= maximum:
        raise refuse(errno.EINVAL)
    return value


def _rounded(text: str, maximum: int) -> int:
    return 1 << (_bounded(text, 1, maximum) - 1).bit_length()


def enabled(state: IdxdState, name: str, driver: str) -> IdxdState:
    """The state after a device or a queue has been bound to a driver; OSError."""
    if name == state.name:
        return _device_enabled(state, driver)
    queue = queue_of(state, int(name.partition(".")[2]))
    if driver == "idxd":
        raise refuse(errno.ENODEV)
    if queue.enabled:
        raise refuse(errno.EBUSY)
    if state.state != "enabled":
        raise refuse(errno.ENXIO)
    if problem := _problem(state, queue, driver):
        number, status = problem
        failed = replace(queue, type="none", name="") if driver == "user" else queue
        raise CommandFailedError(number, replace(_with_queue(state, failed), command_status=status))
    return replace(_with_queue(state, replace(queue, enabled=True)), command_status=0)


def _device_enabled(state: IdxdState, driver: str) -> IdxdState:
    if driver != "idxd":
        raise refuse(errno.ENODEV)
    if state.state == "enabled":
        raise refuse(errno.EBUSY)
    if not any(queue.size and queue.group >= 0 for queue in state.queues):
        raise CommandFailedError(errno.EINVAL, replace(state, command_status=NO_QUEUE))
    with_queues = {queue.group for queue in state.queues if queue.size} - {-1}
    with_engines = set(state.engines.values()) - {-1}
    if with_queues != with_engines:
        raise CommandFailedError(errno.ENXIO, replace(state, command_status=GROUP_INCOMPLETE))
    return replace(state, state="enabled", command_status=0)


def _problem(state: IdxdState, queue: WorkQueue, driver: str) -> tuple[int, int] | None:
    """Why a queue cannot be enabled: the kernel's errno and `cmd_status`."""
    checks = (
        (queue.driver_name != driver, errno.ENODEV, NO_DRIVER_NAME),
        (queue.type != {"dmaengine": "kernel", "crypto": "kernel"}.get(driver, driver), errno.EINVAL, NO_DRIVER_NAME),
        (queue.type == "user" and not state.pasid_enabled, errno.EOPNOTSUPP, NO_SVM),
        (queue.group < 0, errno.EINVAL, NO_GROUP),
        (not queue.name, errno.EINVAL, NO_NAME),
        (not queue.size, errno.EINVAL, NO_SIZE),
        (queue.mode == "shared" and not queue.threshold, errno.EINVAL, NO_THRESHOLD),
        (not queue.priority, errno.ENXIO, PRIORITY_ZERO),
    )
    return next(((number, status) for wrong, number, status in checks if wrong), None)


def disabled(state: IdxdState, name: str) -> IdxdState:
    """The state after a device or a queue has been unbound; OSError when it is not bound."""
    if name == state.name:
        if state.state == "disabled":
            raise refuse(errno.ENODEV)
        queues = tuple(_set_back(state, queue) if queue.enabled else queue for queue in state.queues)
        if not state.configurable:
            return replace(state, state="disabled", queues=queues)
        return replace(state, state="disabled", queues=(), groups={}, engines={})
    queue = queue_of(state, int(name.partition(".")[2]))
    if not queue.enabled:
        raise refuse(errno.ENODEV)
    return _with_queue(state, _set_back(state, queue))


def _set_back(state: IdxdState, queue: WorkQueue) -> WorkQueue:
    """A queue that has been disabled keeps its size and group, and in a fixed layout all that cannot be written."""
    if not state.configurable:
        return replace(queue, enabled=False, type="none", name="", clients=0)
    return WorkQueue(number=queue.number, group=queue.group, size=queue.size, driver_name=queue.driver_name)
