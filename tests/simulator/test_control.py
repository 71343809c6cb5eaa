"""The socket on which a running simulator is asked, by peers that are not ours."""

import asyncio
import json
from pathlib import Path

import pytest

from xpu_simulator.control import LONGEST_PATH, listening
from xpu_simulator.errors import UsageError
from xpu_simulator.messages import LONGEST_REQUEST, Answer


async def echo(line: bytes) -> Answer:
    return Answer(text=line.decode().rstrip())


async def talk(path: Path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_line_is_answered_and_the_connection_ends(tmp_path: Path) -> None:
    async with listening(tmp_path / "s", echo):
        answers = await asyncio.gather(*(talk(tmp_path / "s", b"%d\n" % number) for number in range(20)))
    assert [json.loads(answer)["text"] for answer in answers] == [str(number) for number in range(20)]


@pytest.mark.parametrize("data", [b"x" * (LONGEST_REQUEST + 1) + b"\n", b"no newline"])
async def test_what_is_no_short_line_is_refused(tmp_path: Path, data: bytes) -> None:
    async with listening(tmp_path / "s", echo):
        answer = json.loads(await talk(tmp_path / "s", data))
    assert answer["exit_code"] == 2
    assert answer["text"] == f"expected a request of one line, at most {LONGEST_REQUEST} bytes"


async def test_who_says_nothing_gets_nothing(tmp_path: Path) -> None:
    async with listening(tmp_path / "s", echo):
        assert await talk(tmp_path / "s", b"") == b""


async def test_its_end_does_not_wait_for_conversations(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def never(_line: bytes) -> Answer:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with listening(tmp_path / "s", never):
        silent = await asyncio.open_unix_connection(tmp_path / "s")
        waiting = asyncio.create_task(talk(tmp_path / "s", b"x\n"))
        await asked.wait()
    assert await waiting == b""
    silent[1].close()


def test_a_name_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    async def listen() -> None:
        async with listening(tmp_path / ("x" * LONGEST_PATH), echo):
            raise AssertionError

    with pytest.raises(UsageError, match="too long for a socket: at most 107 bytes; give a shorter --name"):
        asyncio.run(listen())
