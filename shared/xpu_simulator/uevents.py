"""Kernel events as the kernel writes them, and their way to whoever listens on a unix datagram socket.

A datagram is `add@/devices/…`, NUL, then `KEY=value`, each ended by NUL; the last key is the event's serial number.
"""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 0.1  # seconds for a listener that is behind: a socket queues ten datagrams, a card may cause more


@dataclass(frozen=True, slots=True, kw_only=True)
class Uevent:
    action: str
    devpath: str  # below /sys
    subsystem: str
    variables: Mapping[str, str] = field(default_factory=dict)  # what the subsystem adds

    def datagram(self, serial_number: int) -> bytes:
        head = {"ACTION": self.action, "DEVPATH": self.devpath, "SUBSYSTEM": self.subsystem}
        keys = {**head, **self.variables, "SEQNUM": str(serial_number)}
        lines = [f"{self.action}@{self.devpath}", *(f"{key}={value}" for key, value in keys.items())]
        return b"".join(line.encode() + b"\0" for line in lines)


class UeventSender:
    """Sends events, numbered as the kernel numbers them, to sockets that programs have bound."""

    def __init__(self, *listeners: Path) -> None:
        self.listeners = listeners
        self._serial_number = 0

    def send(self, events: Iterable[Uevent]) -> tuple[Path, ...]:
        """Send each event to each listener; the answer names those that were not there or did not take all."""
        datagrams = []
        for event in events:
            self._serial_number += 1
            datagrams.append(event.datagram(self._serial_number))
        return tuple(listener for listener in self.listeners if not _delivered(listener, datagrams))


def _delivered(listener: Path, datagrams: Iterable[bytes]) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(PATIENCE)
        try:
            sender.connect(str(listener))
            for datagram in datagrams:
                sender.send(datagram)
        except OSError:  # nobody is bound to it, or it does not read: the kernel loses events just so
            return False
    return True
