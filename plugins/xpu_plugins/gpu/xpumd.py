"""XPU Manager's daemon xpumd as the source of health: its stream of answers over a unix socket.

A GPU is bad when xpumd gives one of its domains a warning or worse. Conditions are named for the domains, such as
`xpumd-temperature`. The stream is opened again for ever, and an old answer counts as unknown.
"""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from xpu_plugins.gpu.card import PCI_ADDRESS
from xpu_plugins.gpu.environment import Facts
from xpu_plugins.gpu.judges import Look
from xpu_shared.health import Evidence, Finding
from xpu_shared.kubelet.sockets import CHANNEL, target
from xpu_shared.program.logs import Log

if TYPE_CHECKING:
    from xpu_wire import deviceinfo_v1alpha1_pb2 as pb

SOURCE = "xpumd"
SHORTEST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds between attempts
LARGEST_ANSWER = 4 * 1024 * 1024  # bytes
MOST_DEVICES, MOST_DOMAINS = 1024, 64  # in an answer, of a device
LONGEST_TEXT = 256
UUID = re.compile(r"[0-9A-Za-z-]{1,64}")
OK, WARNING = 1, 2  # severities; 0 is unknown, 3 critical, 4 failed
SEVERITIES = ("unknown", "ok", "warning", "critical", "failed")

log = Log("xpumd")


class MalformedAnswerError(Exception):
    """Bytes that are no answer of xpumd's."""


def looks(answer: "pb.DeviceHealthResponse", *, tolerated: Collection[str], max_age: float) -> dict[str, Look]:
    """What an answer says of each GPU, by PCI address; a device without a usable one is left out.

    Args:
        tolerated: domains and reasons of which a warning is nothing bad.
        max_age: seconds that an answer is good for.
    """
    found: dict[str, Look] = {}
    for device in answer.devices[:MOST_DEVICES]:
        address = device.info.pci.bdf.lower()
        if not PCI_ADDRESS.fullmatch(address):
            continue
        findings: dict[str, Finding] = dict(found[address].findings) if address in found else {}
        for status in device.health[:MOST_DOMAINS]:
            name, finding = _finding(status, tolerated)
            if name not in findings or findings[name].evidence is not Evidence.BAD:
                findings[name] = finding
        found[address] = Look(
            findings=findings, known_for=max_age, validity=max_age, exhaustive=True, uuid=_facts(device.info).uuid
        )
    return found


def _finding(status: "pb.HealthStatus", tolerated: Collection[str]) -> tuple[str, Finding]:
    """A domain's condition. Severities of later versions count as bad, as they are above warning."""
    domain = re.sub(r"[^a-z0-9_.-]", "_", status.name[:32].lower())
    name = f"xpumd-{domain}"
    severity = int(status.severity)
    if severity > WARNING or (severity == WARNING and not {status.name, status.reason} & set(tolerated)):
        level = SEVERITIES[severity] if severity < len(SEVERITIES) else str(severity)
        details = ": ".join(_printable(text) for text in (status.reason, status.message) if text)
        text = f"{_printable(status.name)} is {level}{f' ({details})' if details else ''}"
        return name, Finding(evidence=Evidence.BAD, text=text)
    return name, Finding(evidence=Evidence.CLEAR if severity in (OK, WARNING) else Evidence.BETWEEN)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:LONGEST_TEXT])


def facts(answer: "pb.DeviceHealthResponse") -> dict[str, Facts]:
    """What else an answer says of each GPU, by PCI address."""
    by_address = {device.info.pci.bdf.lower(): _facts(device.info) for device in answer.devices[:MOST_DEVICES]}
    return {address: facts for address, facts in by_address.items() if PCI_ADDRESS.fullmatch(address)}


def _facts(info: "pb.DeviceInformation") -> Facts:
    size = sum(memory.size for memory in info.memory)
    return Facts(memory_bytes=size or None, uuid=info.uuid if UUID.fullmatch(info.uuid) else "")


class Xpumd:
    """The connection to it."""

    def __init__(
        self,
        socket: Path,
        *,
        tolerated: Collection[str],
        max_age: float,
        shortest_wait: float = SHORTEST_WAIT,
    ) -> None:
        self._socket = socket
        self._tolerated = tolerated
        self._max_age = max_age
        self._shortest_wait = shortest_wait
        self._trouble: str | None = None

    async def run(self, take: Callable[[Mapping[str, Look], Mapping[str, Facts]], None]) -> None:
        """Listen until cancelled; `take` gets what each answer says of each GPU's health, and what else."""
        wait = self._shortest_wait
        while True:
            try:
                async for answer in self._answers():
                    wait = self._shortest_wait
                    self._note("")
                    take(looks(answer, tolerated=self._tolerated, max_age=self._max_age), facts(answer))
                self._note("it ended the stream")
            except TimeoutError:
                self._note(f"no answer for {self._max_age:g} s")
            except MalformedAnswerError:
                self._note("it sends what is no answer")
            except grpc.aio.AioRpcError as error:
                self._note(f"{error.code().name}: {error.details()}"[:LONGEST_TEXT])
            await asyncio.sleep(wait * random.uniform(0.8, 1.0))  # noqa: S311 - so that not all plugins come at once
            wait = min(wait * 2, LONGEST_WAIT)

    async def _answers(self) -> "AsyncIterator[pb.DeviceHealthResponse]":
        """The answers of one stream; TimeoutError when none comes any more."""
        from xpu_wire.deviceinfo_v1alpha1_pb2 import WatchDeviceHealthRequest  # noqa: PLC0415 - memory, for this alone
        from xpu_wire.deviceinfo_v1alpha1_pb2_grpc import DeviceInfoStub  # noqa: PLC0415 - as above

        options = (*CHANNEL, ("grpc.max_receive_message_length", LARGEST_ANSWER))
        async with grpc.aio.insecure_channel(target(self._socket), options=options) as channel:
            call = DeviceInfoStub(channel).WatchDeviceHealth(WatchDeviceHealthRequest())
            stream: AsyncIterator[pb.DeviceHealthResponse | None] = aiter(call)
            while True:
                async with asyncio.timeout(self._max_age):
                    try:
                        answer = await anext(stream)
                    except StopAsyncIteration:
                        return
                if answer is None:  # gRPC's own answer to bytes that are no message
                    raise MalformedAnswerError
                yield answer

    def _note(self, trouble: str) -> None:
        """One line when it stops working or works again, none for each attempt."""
        if trouble == self._trouble:
            return
        first, self._trouble = self._trouble is None, trouble
        if trouble:
            log.warning("no health from xpumd, keeps trying", socket=self._socket, reason=trouble)
        else:
            log.info("health from xpumd" if first else "health from xpumd again", socket=self._socket)
