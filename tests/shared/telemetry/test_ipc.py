"""Where a publisher puts its socket: what ZeroMQ would do by itself, and must not."""

import asyncio
import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import zmq

from telemetry_transport import publishing, snapshot, subscribed, until, version
from xpu_shared.sockets import OtherInstanceError, SocketError
from xpu_shared.telemetry.ipc import exposure, obstacle


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "xpu" / "level-zero.sock"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_the_socket_is_its_user_s_alone_in_a_directory_of_its_own_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        with publishing(f"ipc://{path}"):
            assert (mode(path), mode(path.parent)) == (0o600, 0o700)
            assert os.listdir(path.parent) == [path.name]
    finally:
        os.umask(before)


async def test_the_socket_goes_with_its_publisher(path: Path) -> None:
    with publishing(f"ipc://{path}"):
        assert path.is_socket()

    assert os.listdir(path.parent) == []


async def test_a_dead_socket_is_replaced(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with publishing(f"ipc://{path}") as publisher:
        publisher.publish(snapshot("a"))
        async with subscribed(f"ipc://{path}") as subscriber:
            await until(lambda: version(subscriber) == "a")


@pytest.mark.parametrize("kind", ["file", "directory", "link to a file", "link to nothing", "link to a socket"])
async def test_any_other_file_is_refused_by_name_and_left_alone(path: Path, kind: str) -> None:
    path.parent.mkdir()
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    else:
        target = path.with_name("target")
        path.symlink_to(target)
        if kind == "link to a file":
            target.write_text("precious")
        elif kind == "link to a socket":
            with socket.socket(socket.AF_UNIX) as other:
                other.bind(str(target))
    before = path.lstat()

    with publishing(f"ipc://{path}", opened=False) as publisher:
        with pytest.raises(SocketError, match=r"xpu/level-zero\.sock: a file that is not a socket is there"):
            publisher.open()
        publisher.publish(snapshot("a"))  # goes on without

    assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)


async def test_a_live_publisher_keeps_its_socket_and_its_subscribers(path: Path) -> None:
    with publishing(f"ipc://{path}") as first:
        async with subscribed(f"ipc://{path}") as subscriber:
            await until(lambda: first.counters.subscriptions == 1)
            live = pytest.raises(OtherInstanceError, match=r"level-zero\.sock: another process listens there")
            with publishing(f"ipc://{path}", opened=False) as second, live:
                second.open()
            first.publish(snapshot("first"))
            await until(lambda: version(subscriber) == "first")
            assert path.is_socket()


async def test_a_publisher_that_was_refused_takes_over_when_the_place_is_free(path: Path) -> None:
    with publishing(f"ipc://{path}", opened=False) as second:
        with publishing(f"ipc://{path}"), pytest.raises(OtherInstanceError):
            second.open()
        second.publish(snapshot("second"))
        async with subscribed(f"ipc://{path}") as subscriber:
            await until(lambda: version(subscriber) == "second")


async def test_a_path_that_is_too_long_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / ("d" * (105 - len(os.fsencode(tmp_path)))) / "x.sock"
    with publishing(f"ipc://{path}", opened=False) as publisher, pytest.raises(SocketError, match=r"bytes too long"):
        publisher.open()

    assert not path.parent.exists()


async def test_a_file_where_a_directory_should_be_is_named(path: Path) -> None:
    path.parent.touch()
    refusal = pytest.raises(SocketError, match=r"level-zero\.sock: .*a part of the path is no directory")
    with publishing(f"ipc://{path}", opened=False) as publisher, refusal:
        publisher.open()


async def test_an_endpoint_that_cannot_be_bound_costs_the_others_nothing(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    other = path.with_name("other.sock")
    with publishing(f"ipc://{path}", f"ipc://{other}", opened=False) as publisher:
        with pytest.raises(SocketError, match=r"level-zero\.sock"):
            publisher.open()
        publisher.publish(snapshot("a"))
        async with subscribed(f"ipc://{other}") as subscriber:
            await until(lambda: version(subscriber) == "a")


def test_a_directory_that_others_may_write_to_is_spoken_of(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert exposure(tmp_path) == ""
    tmp_path.chmod(0o777)
    assert exposure(tmp_path) == "its mode is 0777, expected 0700"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")
def test_a_directory_of_somebody_else_is_spoken_of(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    os.chown(tmp_path, 65534, 65534)
    assert exposure(tmp_path) == "it belongs to user id 65534"


def test_why_nobody_can_connect(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    assert obstacle(path).startswith("no socket is there")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert obstacle(path) == "nobody listens there"
        listener.listen()
        assert obstacle(path) == ""
    assert obstacle(tmp_path / ("x" * 200)) != ""


ANOTHER_USER = """
import asyncio, os, sys
from pathlib import Path
from telemetry_transport import subscribed, until, version
from xpu_shared.telemetry.ipc import obstacle

async def main():
    os.setgid(65534)
    os.setuid(65534)
    path = Path(sys.argv[1])
    async with subscribed(f"ipc://{path}") as subscriber:
        await until(lambda: obstacle(path))
        print(obstacle(path), flush=True)
        await until(lambda: version(subscriber) == "a")
        print("connected", flush=True)

asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_another_user_s_subscriber_is_told_why_and_connects_once_it_may() -> None:
    with tempfile.TemporaryDirectory(prefix="xpu-") as directory:
        Path(directory).chmod(0o755)
        path = Path(directory, "x.sock")
        with publishing(f"ipc://{path}") as publisher:
            publisher.publish(snapshot("a"))
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                ANOTHER_USER,
                str(path),
                stdout=subprocess.PIPE,
                env={"PYTHONPATH": str(Path(__file__).parents[2])},
            )
            assert process.stdout is not None
            reason = await asyncio.wait_for(process.stdout.readline(), 20)
            assert reason == b"Permission denied; programs that share a socket must run with one user id\n"
            os.chown(path, 65534, 65534)
            assert await asyncio.wait_for(process.stdout.readline(), 20) == b"connected\n"
            await process.wait()


async def test_the_library_itself_binds_over_a_live_publisher(tmp_path: Path) -> None:
    """Why we look first. When this fails, libzmq has become careful, and less of ours is needed."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    first, second = context.socket(zmq.XPUB), context.socket(zmq.XPUB)
    try:
        first.bind(f"ipc://{tmp_path}/x.sock")
        second.bind(f"ipc://{tmp_path}/x.sock")
    finally:
        context.destroy(0)
