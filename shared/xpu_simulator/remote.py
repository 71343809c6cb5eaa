"""The other terminal's side: finds running simulators and asks one of them."""

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from xpu_simulator.errors import ImpossibleError, UsageError
from xpu_simulator.guardian import PREFIX
from xpu_simulator.messages import LONGEST_ANSWER, SUFFIX, Answer, Request

PATIENCE = 60.0  # seconds for an answer: a pod waits as long as its plugin makes it wait


def running() -> dict[str, Path]:
    """The sockets of this user's simulators that live, by name."""
    found = Path(tempfile.gettempdir()).glob(f"{PREFIX}*/*{SUFFIX}")
    return {
        path.name.removesuffix(SUFFIX): path
        for path in sorted(found, key=lambda path: path.stem)
        if _is_ours(path) and _lives(path)
    }


def choose(name: str | None) -> Path:
    """The simulator of that name, or the only one."""
    sockets = running()
    if not sockets:
        raise ImpossibleError(f"no simulator of yours is running (its directory would be in {tempfile.gettempdir()})")
    names = ", ".join(sockets)
    if name is None and len(sockets) > 1:
        raise UsageError(f"several simulators are running: choose one with --name; there are {names}")
    if name is None:
        return next(iter(sockets.values()))
    if name not in sockets:
        raise ImpossibleError(f"no simulator {name!r} is running; there are {names}")
    return sockets[name]


def ask(path: Path, request: Request) -> Answer:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        try:
            connection.connect(str(path))
            connection.sendall(request.model_dump_json().encode() + b"\n")
            data = b"".join(_read(connection))
        except TimeoutError:
            raise ImpossibleError(f"{path}: no answer within {PATIENCE:g} s") from None
        except OSError as error:
            raise ImpossibleError(f"{path}: {error.strerror}") from None
    try:
        return Answer.model_validate_json(data)
    except ValidationError:
        raise ImpossibleError(f"{path}: the simulator ended before it answered") from None


def _read(connection: socket.socket) -> Iterator[bytes]:
    length = 0
    while length <= LONGEST_ANSWER and (data := connection.recv(65536)):
        length += len(data)
        yield data


def _is_ours(path: Path) -> bool:
    """Whoever may write into the directory for temporary files could leave a socket there."""
    try:
        directory, itself = path.parent.lstat(), path.lstat()
    except OSError:  # it ends just now
        return False
    private = stat.S_ISDIR(directory.st_mode) and stat.S_IMODE(directory.st_mode) == stat.S_IRWXU
    return private and directory.st_uid == os.geteuid() and stat.S_ISSOCK(itself.st_mode)


def _lives(path: Path) -> bool:
    """A simulator that was killed may have left its socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True
