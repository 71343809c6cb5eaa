import socket
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from xpu_simulator.device import uevents
from xpu_simulator.node import Gpu
from xpu_simulator.uevents import Uevent, UeventSender


@pytest.fixture
def listener(tmp_path: Path) -> Generator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as receiver:
        receiver.bind(str(tmp_path / "uevents"))
        yield receiver


def test_a_datagram_is_in_the_kernels_format() -> None:
    event = Uevent(action="add", devpath="/devices/x/drm/card0", subsystem="drm", variables={"DEVNAME": "dri/card0"})

    assert event.datagram(17) == (
        b"add@/devices/x/drm/card0\0ACTION=add\0DEVPATH=/devices/x/drm/card0\0SUBSYSTEM=drm\0"
        b"DEVNAME=dri/card0\0SEQNUM=17\0"
    )


def test_a_new_card_is_announced_by_the_bus_then_by_its_drivers_devices() -> None:
    events = [(event.action, event.subsystem, event.devpath.rpartition("/")[2]) for event in uevents(Gpu(), "add")]

    assert events == [
        ("add", "pci", "0000:12:00.0"),
        ("add", "drm", "renderD128"),
        ("add", "drm", "card0"),
        ("add", "mei", "mei1"),
        ("bind", "pci", "0000:12:00.0"),
    ]


def test_a_removed_card_is_told_in_the_opposite_order() -> None:
    events = [(event.action, event.subsystem) for event in uevents(Gpu(), "remove")]
    assert events == [("remove", "mei"), ("remove", "drm"), ("remove", "drm"), ("unbind", "pci"), ("remove", "pci")]


def test_virtual_functions_come_after_and_go_before_their_physical_function() -> None:
    def buses(action: str) -> list[str]:
        return [
            event.devpath[-7:]
            for event in uevents(Gpu(vfs=1), action)
            if event.variables.get("PCI_ID") and event.action == action
        ]

    assert buses("add") == ["12:00.0", "12:00.1"]
    assert buses("remove") == ["12:00.1", "12:00.0"]


def test_an_unknown_action_is_an_error() -> None:
    with pytest.raises(ValueError, match="action 'move': add, bind, unbind or remove"):
        uevents(Gpu(), "move")


def test_events_arrive_in_order_with_growing_numbers(tmp_path: Path, listener: socket.socket) -> None:
    sender = UeventSender(tmp_path / "uevents")

    assert sender.send(uevents(Gpu(), "add")) == ()
    assert sender.send(uevents(Gpu(), "remove")) == ()

    received = [listener.recv(8192) for _ in range(10)]
    assert [datagram.split(b"\0")[-2] for datagram in received] == [b"SEQNUM=%d" % number for number in range(1, 11)]


def test_listeners_that_are_not_there_are_named(tmp_path: Path, listener: socket.socket) -> None:
    sender = UeventSender(tmp_path / "nobody", tmp_path / "uevents")
    assert sender.send(uevents(Gpu(), "add")) == (tmp_path / "nobody",)


def test_a_listener_that_does_not_read_loses_events(tmp_path: Path, listener: socket.socket) -> None:
    sender = UeventSender(tmp_path / "uevents")
    assert sender.send(uevents(Gpu(), "add") * 1000) == (tmp_path / "uevents",)


def test_a_listener_that_is_a_little_behind_gets_every_event(tmp_path: Path, listener: socket.socket) -> None:
    listener.setblocking(True)
    received: list[bytes] = []
    reading = threading.Thread(target=lambda: received.extend(listener.recv(8192) for _ in range(500)))
    reading.start()

    assert UeventSender(tmp_path / "uevents").send(uevents(Gpu(), "add") * 100) == ()

    reading.join(timeout=5)
    assert len(received) == 500
