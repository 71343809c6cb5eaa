"""At the kubelet's socket is no kubelet, or one that breaks its own protocol: the true one is found all the same."""

import asyncio
import os
from pathlib import Path

import pytest

from framework import RESOURCE, DemoPlugin, running

SETTINGS = b"\0\0\0\4\0\0\0\0\0"
GOAWAY = b"\0\0\x08\7\0\0\0\0\0" + b"\0" * 8


def frame(kind: int, payload: bytes, *, flags: int) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + (1).to_bytes(4, "big") + payload


def answer() -> bytes:
    """To the first call of a connection: the empty message, and all is well."""
    head = b"\x88" + b"\0\x0ccontent-type\x10application/grpc"
    return frame(1, head, flags=4) + frame(0, b"\0" * 5, flags=0) + frame(1, b"\0\x0bgrpc-status\x010", flags=5)


@pytest.mark.parametrize(
    ("said", "closes"),
    [
        (os.urandom(4096), True),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", True),
        (b"", True),
        (b"", False),
        (SETTINGS, False),
        (SETTINGS + GOAWAY, True),
        (SETTINGS + frame(1, b"\xff" * 40, flags=4), False),
        (answer() + answer(), False),
    ],
    ids=["noise", "HTTP/1", "hangs up", "silent", "no answer", "goes away", "nonsense", "answers twice"],
)
async def test_whoever_is_in_the_kubelet_s_place_the_true_one_is_found(
    tmp_path: Path, said: bytes, closes: bool
) -> None:
    asked = asyncio.Event()
    conversations: dict[asyncio.Task[object] | None, asyncio.StreamWriter] = {}

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversations[asyncio.current_task()] = writer
        heard = await reader.read(4096)
        if said.endswith(answer()):  # first it says that it speaks HTTP/2, and it answers what it was asked
            writer.write(SETTINGS)
            while b"demo.intel.com-unit.sock" not in heard and (more := await reader.read(4096)):
                heard += more
        writer.write(said)
        asked.set()
        if not closes:
            await reader.read()
        writer.close()

    (tmp_path / "device-plugins").mkdir()
    impostor = await asyncio.start_unix_server(converse, tmp_path / "device-plugins/kubelet.sock")
    async with running(tmp_path, DemoPlugin(), start_kubelet=False) as node:
        async with asyncio.timeout(10):
            await asked.wait()
        impostor.close()
        await node.kubelet.start()
        await node.kubelet.wait_for_list(RESOURCE, lambda listed: listed.allocatable == 2)
    for conversation, writer in conversations.items():
        assert conversation is not None
        conversation.cancel()
        writer.close()
    await asyncio.wait([task for task in conversations if task])
