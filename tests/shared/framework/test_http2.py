"""What a peer may do below gRPC: frames by hand, on a real socket."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from framework import RESOURCE, DemoPlugin, Node, running, unit
from xpu_shared.device import Device

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 1, 3, 4, 6, 7
END_STREAM, END_HEADERS = 1, 4
MANY = [Device(id=f"{number:060}") for number in range(20_000)]  # more than fits into a stream's window


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def header(name: bytes, value: bytes) -> bytes:
    """A literal header without indexing."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def list_and_watch() -> bytes:
    """The call, with stream number 1."""
    headers = b"\x83\x86" + header(b":path", b"/v1beta1.DevicePlugin/ListAndWatch")  # POST, http
    headers += header(b":authority", b"x") + header(b"content-type", b"application/grpc") + header(b"te", b"trailers")
    message = frame(0, b"\0" * 5, flags=END_STREAM, stream=1)
    return PREFACE + frame(SETTINGS) + frame(HEADERS, headers, flags=END_HEADERS, stream=1) + message


def connected(node: Node) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.connect(str(node.kubelet.device_plugins / "demo.intel.com-unit.sock"))
    return peer


async def still_served(node: Node, plugin: DemoPlugin, count: int) -> None:
    """A change reaches the kubelet."""
    plugin.devices = {"unit": [unit(f"unit{number}") for number in range(count)]}
    node.uevent()
    await node.kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == count)


@pytest.mark.parametrize(
    "sent",
    [
        PREFACE + frame(SETTINGS) + b"".join(frame(PING, bytes([number]) * 8) for number in range(200)),
        PREFACE + frame(SETTINGS, b"\0\4\0\0\0\0") + frame(GOAWAY, b"\0" * 8),
        list_and_watch(),
        list_and_watch() + frame(RST_STREAM, (8).to_bytes(4, "big"), stream=1),
        PREFACE + frame(SETTINGS, b"\xff" * 6) + frame(HEADERS, b"\xff" * 50, flags=END_HEADERS, stream=1),
        PREFACE[:10],
        b"GET / HTTP/1.1\r\n\r\n",
        os.urandom(4096),
    ],
    ids=["pings", "goaway", "half-closed", "reset", "nonsense in frames", "silence", "HTTP/1", "noise"],
)
async def test_a_peer_costs_only_itself(tmp_path: Path, sent: bytes) -> None:
    plugin = DemoPlugin()
    async with running(tmp_path, plugin) as node:
        await node.kubelet.wait_for_list(RESOURCE)
        with connected(node) as peer:
            await asyncio.to_thread(peer.sendall, sent)
            peer.shutdown(socket.SHUT_WR)
            await still_served(node, plugin, 3)
        await still_served(node, plugin, 4)


@pytest.mark.parametrize("end", [frame(RST_STREAM, (8).to_bytes(4, "big"), stream=1), b""], ids=["reset", "gone"])
async def test_a_stream_that_ends_in_the_middle_of_a_list_costs_only_itself(tmp_path: Path, end: bytes) -> None:
    plugin = DemoPlugin(devices={"unit": MANY})
    async with running(tmp_path, plugin, lost_device_retention=0.0) as node:
        await node.kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == len(MANY), timeout=30)
        with connected(node) as peer:
            peer.settimeout(5)
            await asyncio.to_thread(peer.sendall, list_and_watch())
            assert await asyncio.to_thread(peer.recv, 1024)  # the list has begun, and is never read to its end
            await asyncio.to_thread(peer.sendall, end)
        await still_served(node, plugin, 3)
