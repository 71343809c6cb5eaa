"""The running simulator's side of commands from other terminals: a socket that only its user can reach."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from xpu_simulator.actions import Actions
from xpu_simulator.errors import ImpossibleError, UnknownDeviceError, UsageError
from xpu_simulator.kubelet.pods import AdmissionError
from xpu_simulator.messages import LONGEST_REQUEST, SUFFIX, Answer, Request, reason
from xpu_simulator.report import Report
from xpu_simulator.status import Status

PATIENCE = 5.0  # seconds for a request to arrive
LONGEST_PATH = 107  # bytes, a limit of Linux
TOO_LONG = Answer(text=f"expected a request of one line, at most {LONGEST_REQUEST} bytes", exit_code=2)


class Control:
    """Answers requests: each is done at once, also while another one waits for a plugin."""

    def __init__(self, actions: Actions, report: Report, status: Callable[[], Status]) -> None:
        self._actions = actions
        self._report = report
        self._status = status

    async def answer(self, line: bytes) -> Answer:
        try:
            request = Request.model_validate_json(line)
        except ValidationError as error:
            return Answer(text=reason(error), exit_code=2)
        if not request.action:
            return Answer(status=self._status())
        self._report.step_begins()
        try:
            return Answer(text=await self._actions.act(request.action))
        except UnknownDeviceError as error:
            return Answer(text=str(error), exit_code=2)
        except (ImpossibleError, OSError) as error:  # such as no room for a card's files
            return Answer(text=str(error), exit_code=1)
        except AdmissionError as error:
            return Answer(text=f"pod {error.pod} is rejected: {error.reason}: {error.message}", exit_code=1)


@asynccontextmanager
async def listening(path: Path, answer: Callable[[bytes], Awaitable[Answer]]) -> AsyncGenerator[None]:
    """Answer requests on a socket for as long as the block lasts."""
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise UsageError(f"{path} is too long for a socket: at most {LONGEST_PATH} bytes; give a shorter --name")
    conversations: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = asyncio.create_task(_converse(reader, writer, answer))
        conversations.add(conversation)
        conversation.add_done_callback(conversations.discard)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o600)
        server = await asyncio.start_unix_server(begin, sock=listener, limit=LONGEST_REQUEST)
        try:
            yield
        finally:
            server.close()
            for conversation in conversations:
                conversation.cancel()
            await asyncio.gather(*conversations, return_exceptions=True)


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Callable[[bytes], Awaitable[Answer]]
) -> None:
    try:
        with suppress(OSError, TimeoutError):  # the other side has gone, or says nothing
            line = await _request(reader)
            if line:
                told = await answer(line) if line.endswith(b"\n") else TOO_LONG
                writer.write(told.model_dump_json().encode())
                await writer.drain()
    finally:
        writer.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(PATIENCE):
        try:
            return await reader.readline()
        except ValueError:  # longer than the reader's limit
            return b"too long"


def socket_path(directory: Path, name: str) -> Path:
    return directory / f"{name}{SUFFIX}"
