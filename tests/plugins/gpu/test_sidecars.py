"""The plugin's end of telemetry: keys for tcp://, and two endpoints at once."""

import asyncio
import logging
import socket
from pathlib import Path

import pytest
import zmq

from gpu_telemetry import gpu, gpus, publishing
from handmade_gpus import HandmadeGpus
from xpu_plugins.gpu import sidecars
from xpu_plugins.gpu.program import PROGRAM
from xpu_plugins.gpu.sidecars import Sidecars
from xpu_shared.program.flags import UsageError
from xpu_shared.telemetry.curve import AllowedKeys, ServerKeys
from xpu_shared.telemetry.freshness import Received
from xpu_shared.telemetry.publisher import Publisher

ADDRESS = "0000:3b:00.0"


class Heard:
    """What the sidecars said, by endpoint."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[tuple[str, Received]] = asyncio.Queue()

    def take(self, endpoint: str, message: Received) -> None:
        self.messages.put_nowait((endpoint, message))

    async def next(self) -> tuple[str, list[str]]:
        async with asyncio.timeout(20):
            endpoint, message = await self.messages.get()
        return endpoint, [reading.pci_address for reading in message.envelope.payload.devices]


class Spoken(logging.Handler):
    """What the log says of keys."""

    def __init__(self) -> None:
        super().__init__()
        self.reasons: list[str] = []
        self.event = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.reasons.append(str(record.__dict__["fields"]["reason"]))
        self.event.set()


async def test_each_endpoint_is_heard_and_each_message_once(node: HandmadeGpus, tmp_path: Path) -> None:
    endpoints = tuple(f"ipc://{tmp_path}/{name}/s" for name in "ab")
    heard = Heard()
    task = asyncio.create_task(Sidecars(node.settings(telemetry=endpoints)).run(heard.take))
    with publishing(endpoints[0]) as first, publishing(endpoints[1], validity=0.2) as second:
        first.publish(gpus(gpu(ADDRESS)))
        assert await heard.next() == (endpoints[0], [ADDRESS])
        second.publish(gpus())
        assert await heard.next() == (endpoints[1], [])
        first.publish(gpus(gpu(ADDRESS), gpu("0000:5e:00.0")))
        assert await heard.next() == (endpoints[0], [ADDRESS, "0000:5e:00.0"])
        assert heard.messages.empty()
    task.cancel()
    await asyncio.wait({task})


async def test_keys_that_come_late_are_used(
    node: HandmadeGpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sidecars, "KEYS_RETRY", 0.01)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    server_public, server_secret = zmq.curve_keypair()
    public, secret = zmq.curve_keypair()
    (tmp_path / "allowed").write_bytes(public + b" the plugin\n")
    settings = node.settings(
        telemetry=(endpoint,),
        telemetry_secret_key=tmp_path / "secret",
        telemetry_server_key=tmp_path / "server",
    )
    heard = Heard()
    spoken = Spoken()
    logging.getLogger("xpu.gpu telemetry").addHandler(spoken)
    task = asyncio.create_task(Sidecars(settings).run(heard.take))
    keys = ServerKeys(secret=server_secret, allowed=AllowedKeys(tmp_path / "allowed"))
    publisher = Publisher([endpoint], source="level-zero", node="", validity=60.0, keys=keys)
    try:
        publisher.open()
        publisher.publish(gpus(gpu(ADDRESS)))
        async with asyncio.timeout(20):
            await spoken.event.wait()
        (tmp_path / "server").write_bytes(server_public)
        (tmp_path / "secret").write_bytes(secret)
        assert await heard.next() == (endpoint, [ADDRESS])
    finally:
        publisher.close()
        task.cancel()
        await asyncio.wait({task})
        logging.getLogger("xpu.gpu telemetry").removeHandler(spoken)
    assert len(spoken.reasons) == 1
    assert spoken.reasons[0].startswith(str(tmp_path))


def test_tcp_is_not_used_without_keys() -> None:
    with pytest.raises(UsageError, match=r"--telemetry=tcp://h:1: tcp:// is only used with keys"):
        PROGRAM.load(["--telemetry=tcp://h:1", "--telemetry-secret-key=/k"])


@pytest.fixture
def node(tmp_path: Path) -> HandmadeGpus:
    return HandmadeGpus(tmp_path / "node")
