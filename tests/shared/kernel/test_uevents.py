import asyncio
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpu_shared.counters import EventCounters
from xpu_shared.kernel.uevents import (
    LARGEST_DATAGRAM,
    MalformedUeventError,
    Uevent,
    listen_on_socket,
    listen_to_kernel,
    parse,
)

GOOD = (
    b"add@/devices/pci0000:00/0000:00:02.0/drm/card1\0ACTION=add\0"
    b"DEVPATH=/devices/pci0000:00/0000:00:02.0/drm/card1\0SUBSYSTEM=drm\0DEVNAME=dri/card1\0SEQNUM=4711\0"
)


def test_an_event_of_the_kernel() -> None:
    assert parse(GOOD) == Uevent(action="add", devpath="/devices/pci0000:00/0000:00:02.0/drm/card1", subsystem="drm")


def test_an_event_tells_all_that_the_kernel_says() -> None:
    assert parse(GOOD).variables["DEVNAME"] == "dri/card1"


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\0",
        b"libudev\0\xfe\xed\xca\xfe",
        b"add@",
        b"add@devices\0ACTION=add\0DEVPATH=devices\0SUBSYSTEM=drm\0",
        b"explode@/x\0ACTION=explode\0DEVPATH=/x\0SUBSYSTEM=drm\0",
        b"add@/x\0ACTION=remove\0DEVPATH=/x\0SUBSYSTEM=drm\0",
        b"add@/x\0ACTION=add\0DEVPATH=/y\0SUBSYSTEM=drm\0",
        b"add@/x\0ACTION=add\0DEVPATH=/x\0",
        b"add@/x\0ACTION=add\0DEVPATH=/x\0SUBSYSTEM=\0",
        b"add@/x\0ACTION=add\0DEVPATH=/x\0SUBSYSTEM=drm\0junk\0",
        b"add@/x\xff\0ACTION=add\0DEVPATH=/x\xff\0SUBSYSTEM=drm\0",
    ],
)
def test_a_datagram_that_is_no_event_is_refused(datagram: bytes) -> None:
    with pytest.raises(MalformedUeventError):
        parse(datagram)


@given(st.binary(max_size=200))
def test_noise_is_refused_and_nothing_worse(noise: bytes) -> None:
    with pytest.raises(MalformedUeventError):
        parse(noise)


class Listening:
    """A datagram socket that is listened on, and what came of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counters = EventCounters()
        self.events: asyncio.Queue[Uevent | None] = asyncio.Queue()
        self.close = listen_on_socket(path, {"drm"}, self.events.put_nowait, self.counters)

    def send(self, *datagrams: bytes) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            for datagram in datagrams:
                sender.sendto(datagram, str(self.path))


async def test_each_datagram_is_one_event_and_bad_ones_are_counted_and_dropped(tmp_path: Path) -> None:
    listening = Listening(tmp_path / "uevents")
    listening.send(b"noise", b"x" * (LARGEST_DATAGRAM + 1), GOOD.replace(b"=drm", b"=usb"), GOOD)

    assert await asyncio.wait_for(listening.events.get(), 5) == parse(GOOD)
    assert listening.events.empty()
    assert listening.counters.received == {"socket": 2}
    assert listening.counters.dropped == {"malformed": 2}
    listening.close()


async def test_the_socket_is_for_its_owner_only_and_gone_at_the_end(tmp_path: Path) -> None:
    listening = Listening(tmp_path / "uevents")

    assert listening.path.stat().st_mode & 0o777 == 0o600
    listening.close()
    assert os.listdir(tmp_path) == []


async def test_a_dead_socket_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(tmp_path / "uevents"))

    listening = Listening(tmp_path / "uevents")
    listening.send(GOOD)

    assert await asyncio.wait_for(listening.events.get(), 5) == parse(GOOD)
    listening.close()


async def test_a_live_listener_keeps_its_socket(tmp_path: Path) -> None:
    first = Listening(tmp_path / "uevents")

    with pytest.raises(OSError, match="another process listens"):
        Listening(tmp_path / "uevents")
    first.send(GOOD)

    assert await asyncio.wait_for(first.events.get(), 5) == parse(GOOD)
    first.close()


async def test_another_kind_of_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "uevents").write_text("precious")

    with pytest.raises(OSError, match="not a socket"):
        Listening(tmp_path / "uevents")
    assert (tmp_path / "uevents").read_text() == "precious"


async def test_a_successors_socket_survives_our_end(tmp_path: Path) -> None:
    first = Listening(tmp_path / "uevents")
    first.path.unlink()
    second = Listening(tmp_path / "uevents")

    first.close()
    second.send(GOOD)

    assert await asyncio.wait_for(second.events.get(), 5) == parse(GOOD)
    second.close()


async def test_the_kernels_own_events_arrive() -> None:
    """The kernel repeats an `add` event for a device whose uevent file is written."""
    uevent = Path("/sys/class/mem/null/uevent")
    if not os.access(uevent, os.W_OK):
        pytest.skip("needs root and a writable /sys to make the kernel send an event")
    events: asyncio.Queue[Uevent | None] = asyncio.Queue()
    counters = EventCounters()
    close = listen_to_kernel({"mem"}, events.put_nowait, counters)
    try:
        uevent.write_text("change")
    except OSError as error:
        close()
        pytest.skip(f"the kernel takes no events to repeat here: {error}")

    event = await asyncio.wait_for(events.get(), 5)
    assert event == Uevent(action="change", devpath="/devices/virtual/mem/null", subsystem="mem")
    assert event is not None
    assert event.variables["DEVNAME"].endswith("null")
    assert "IVPU_PM_EVENT" not in event.variables
    assert counters.received["kernel"] == 1
    close()


async def test_events_that_the_kernel_could_not_deliver_are_a_reason_to_scan_and_the_next_ones_arrive() -> None:
    uevent = Path("/sys/class/mem/null/uevent")
    if not os.access(uevent, os.W_OK):
        pytest.skip("needs root and a writable /sys to make the kernel send events")
    lost, told = asyncio.Event(), asyncio.Event()

    def on_event(event: Uevent | None) -> None:
        (lost if event is None else told).set()

    counters = EventCounters()
    close = listen_to_kernel({"mem"}, on_event, counters)
    try:
        for _ in range(6000):  # more than the socket holds, while nobody reads
            uevent.write_text("change")
    except OSError as error:
        close()
        pytest.skip(f"the kernel takes no events to repeat here: {error}")

    await asyncio.wait_for(lost.wait(), 10)
    assert counters.dropped.total() <= 5
    while told.is_set():  # read all that did arrive
        told.clear()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    dropped = counters.dropped.total()
    uevent.write_text("change")
    await asyncio.wait_for(told.wait(), 10)
    assert counters.dropped.total() == dropped
    close()
