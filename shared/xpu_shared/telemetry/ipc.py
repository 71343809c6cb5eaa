"""Unix sockets for ZeroMQ, which by itself binds over files, symbolic links and live publishers, with any mode.

A socket is bound under a private name, made ours alone and renamed. So it never has another mode, and when ZeroMQ
closes it, the name that ZeroMQ unlinks is not the one where a successor listens already.
"""

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from xpu_shared.program.endpoints import LONGEST_PATH
from xpu_shared.sockets import Identity, SocketError, check_free, explained, identity, private_path

CAUSES = {
    errno.EACCES: "programs that share a socket must run with one user id",
    errno.EPERM: "programs that share a socket must run with one user id",
    errno.EAGAIN: "another process puts a socket there at this moment",
    errno.EROFS: "is a volume mounted there?",
    errno.ENOTDIR: "a part of the path is no directory",
    errno.EEXIST: "a part of the path is no directory",
}


def bind(path: Path, bind_to: Callable[[str], object]) -> Identity:
    """Put a socket at `path`, for its user alone.

    Args:
        bind_to: binds a ZeroMQ socket to an endpoint; OSError when it cannot.
    Raises:
        OtherInstanceError: a live publisher is there.
        SocketError: another file is there, the path is too long, or the directory takes no socket.
    """
    private = private_path(path)
    longest = max(len(os.fsencode(path)), len(os.fsencode(private)))
    if longest > LONGEST_PATH:
        raise SocketError(f"socket {path}: its path or its directory is {longest - LONGEST_PATH} bytes too long")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(path.parent):
            check_free(path, rival="a second sidecar")
            try:
                bind_to(f"ipc://{private}")
                private.chmod(0o600)
                private.rename(path)
            finally:
                private.unlink(missing_ok=True)
            found = identity(path)
    except OSError as error:
        raise explained(error, path, CAUSES) from error
    if found is None:
        raise SocketError(f"socket {path}: removed as soon as it was there")
    return found


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Between looking and renaming nobody else does the same in this directory."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def exposure(directory: Path) -> str:
    """What others can do in a socket's directory, empty when it is ours alone."""
    status = directory.stat()
    if status.st_uid != os.geteuid():
        return f"it belongs to user id {status.st_uid}"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"its mode is {stat.S_IMODE(status.st_mode):04o}, expected 0700"
    return ""


def obstacle(path: Path) -> str:
    """Why nobody can connect to `path` now, empty when one can."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            return "no socket is there; does a sidecar publish there, and do both mount that volume?"
        except ConnectionRefusedError:
            return "nobody listens there"
        except BlockingIOError:
            return ""
        except OSError as error:
            hint = CAUSES.get(error.errno or 0, "")
            return f"{error.strerror}{f'; {hint}' if hint else ''}"
    return ""
