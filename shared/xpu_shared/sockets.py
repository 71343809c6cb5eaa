"""Unix sockets of ours: whose file a path names, and whether a socket may be put there. Nothing here binds."""

import contextlib
import errno
import random
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class SocketError(Exception):
    """A socket cannot be put in place; the text names path, errno and the likely cause."""


class OtherInstanceError(SocketError):
    """Another process listens on the path."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which file a path names. File systems reuse inode numbers, so the change time belongs to it."""

    device: int
    inode: int
    changed: int  # nanoseconds


def identity(path: Path) -> Identity | None:
    """The identity of the socket that is at `path` now, None when none can be seen there."""
    try:
        status = path.lstat()
    except OSError:
        return None
    if not stat.S_ISSOCK(status.st_mode):  # in the kubelet's place, for example: its streams go on all the same
        return None
    return Identity(device=status.st_dev, inode=status.st_ino, changed=status.st_ctime_ns)


def explained(error: OSError, path: Path, causes: Mapping[int, str]) -> SocketError:
    """An error of the system as ours, with the likely cause by errno."""
    code = errno.errorcode.get(error.errno or 0, "unknown error")
    hint = causes.get(error.errno or 0)
    return SocketError(f"socket {path}: {code}: {error.strerror or error}{f'; {hint}' if hint else ''}")


def private_path(path: Path) -> Path:
    """Where a socket is bound before it is renamed to `path`.

    Libraries bind silently over a live listener, and when they close they unlink the path they were given, even when
    another's socket is there by then; a socket that was bound elsewhere does neither to `path`.
    """
    return path.with_name(f".xpu-{random.getrandbits(32):08x}")


def check_free(path: Path, *, rival: str) -> None:
    """Check that `path` names nothing or a dead socket.

    Args:
        rival: who a live listener perhaps is, for the error.
    Raises:
        OtherInstanceError: a live listener is there.
        SocketError: a file that is no socket is there.
        OSError: the system does not let us look.
    """
    try:
        status = path.lstat()
        if not stat.S_ISSOCK(status.st_mode):
            raise SocketError(f"socket {path}: a file that is not a socket is there, and is left alone; remove it")
        if _is_live(path):
            raise OtherInstanceError(f"socket {path}: another process listens there, perhaps {rival}")
    except FileNotFoundError:
        return


def _is_live(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except BlockingIOError:  # a listener whose queue is full
            return True
    return True


def remove_own(path: Path, ours: Identity) -> None:
    """Unlink the socket if it is still the one we put there, and may be unlinked: a dead one is in nobody's way."""
    if identity(path) == ours:
        with contextlib.suppress(OSError):
            path.unlink()
