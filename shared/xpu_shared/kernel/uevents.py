"""Kernel uevents: what the kernel says when a device appears, changes or goes.

They come from the `kernel` group of the uevent netlink socket, which reaches the network namespaces of pods (udev's
own group does not), and for machines without hardware from a unix datagram socket, one event a datagram.
"""

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xpu_shared.counters import EventCounters
from xpu_shared.program.logs import Log

LARGEST_DATAGRAM = 8192  # bytes; the kernel's buffer for one event has 2048
RECEIVE_BUFFER = 1024 * 1024  # bytes, some thousand events; libudev would take 128 MiB of the kernel's memory
AT_A_TIME = 256  # datagrams read before others get their turn
ACTIONS = frozenset(["add", "remove", "change", "move", "online", "offline", "bind", "unbind"])

log = Log("uevents")


@dataclass(frozen=True, slots=True)
class Uevent:
    action: str
    devpath: str  # below /sys, e.g. /devices/pci0000:00/0000:00:02.0
    subsystem: str
    variables: Mapping[str, str] = field(default_factory=dict, compare=False)  # all that the kernel says, these too


class MalformedUeventError(ValueError):
    """A datagram that is no kernel uevent."""


def parse(datagram: bytes) -> Uevent:
    """Read one event in the kernel's format: `ACTION@DEVPATH`, then `KEY=VALUE` fields, each ended by NUL.

    Raises:
        MalformedUeventError: with what is wrong with it.
    """
    try:
        header, *fields = datagram.decode().removesuffix("\0").split("\0")
    except UnicodeDecodeError:
        raise MalformedUeventError("not text") from None
    action, at, devpath = header.partition("@")
    if not at or action not in ACTIONS or not devpath.startswith("/"):
        raise MalformedUeventError("no action@/path at its start")
    if not all("=" in field for field in fields):
        raise MalformedUeventError("a field is not KEY=VALUE")
    values = dict(field.split("=", 1) for field in fields)
    if values.get("ACTION") != action or values.get("DEVPATH") != devpath:
        raise MalformedUeventError("ACTION and DEVPATH do not say what its start says")
    if not values.get("SUBSYSTEM"):
        raise MalformedUeventError("no SUBSYSTEM")
    return Uevent(action=action, devpath=devpath, subsystem=values["SUBSYSTEM"], variables=values)


# Called for each event, and with None when events were lost: anything may have happened.
OnEvent = Callable[[Uevent | None], None]


def listen_to_kernel(subsystems: Collection[str], on_event: OnEvent, counters: EventCounters) -> Callable[[], None]:
    """Listen on the netlink socket from now on; returns what ends it.

    Raises:
        OSError: this machine gives no netlink socket, or libudev is absent.
    """
    try:
        import pyudev  # noqa: PLC0415 - 2 MiB that a machine without a netlink socket need not pay
    except ImportError as error:
        raise OSError(errno.ENOENT, f"libudev cannot be loaded: {error}") from error
    monitor = pyudev.Monitor.from_netlink(pyudev.Context(), source="kernel")
    for subsystem in sorted(subsystems):
        monitor.filter_by(subsystem)
    with contextlib.suppress(OSError):  # without the right to, it keeps the size it has
        monitor.set_receive_buffer_size(RECEIVE_BUFFER)
    monitor.start()
    own = socket.socket(fileno=os.dup(monitor.fileno()))  # for what pyudev does not do

    def drain() -> None:
        for _ in range(AT_A_TIME):
            try:
                device = monitor.poll(timeout=0)
            except OSError:
                # ENOBUFS: the kernel had more to say than the socket holds. Reading the error clears it.
                lost = own.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                counters.dropped[errno.errorcode.get(lost, "unknown")] += 1
                on_event(None)
                return
            if device is None:
                return
            counters.received["kernel"] += 1
            on_event(
                Uevent(
                    action=device.action or "",
                    devpath=device.device_path,
                    subsystem=device.subsystem,
                    variables=device.properties,
                )
            )

    loop = asyncio.get_running_loop()
    loop.add_reader(monitor.fileno(), drain)

    def close() -> None:
        loop.remove_reader(monitor.fileno())
        own.close()

    return close


def listen_on_socket(
    path: Path, subsystems: Collection[str], on_event: OnEvent, counters: EventCounters
) -> Callable[[], None]:
    """Bind the datagram socket `path` and listen from now on; returns what ends it and removes the socket.

    Raises:
        OSError: the socket cannot be bound; a file that is not a dead socket is left alone.
    """
    _make_room(path)
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        receiver.bind(str(path))
        path.chmod(0o600)
    except OSError:
        receiver.close()
        raise
    bound = path.lstat()

    def drain() -> None:
        for _ in range(AT_A_TIME):
            try:
                datagram = receiver.recv(LARGEST_DATAGRAM + 1)
            except BlockingIOError:
                return
            except OSError:
                counters.dropped["unreadable"] += 1
                return
            try:
                if len(datagram) > LARGEST_DATAGRAM:
                    raise MalformedUeventError("too long")
                event = parse(datagram)
            except MalformedUeventError as error:
                counters.dropped["malformed"] += 1
                log.verbose(2, "dropped a datagram", socket=path, reason=error)
                continue
            counters.received["socket"] += 1
            if event.subsystem in subsystems:
                on_event(event)

    loop = asyncio.get_running_loop()
    loop.add_reader(receiver.fileno(), drain)

    def close() -> None:
        loop.remove_reader(receiver.fileno())
        receiver.close()
        with contextlib.suppress(OSError):
            if os.path.samestat(path.lstat(), bound):
                path.unlink()

    return close


def _make_room(path: Path) -> None:
    """Remove a socket that nobody listens on; OSError for a live one or another kind of file."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "exists and is not a socket", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, "another process listens on it", str(path))
