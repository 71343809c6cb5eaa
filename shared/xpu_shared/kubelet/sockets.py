"""Our sockets in the kubelet's directory: whose they are, how they are put in place, whether they are still ours."""

import contextlib
import errno
import os
import random
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

CAUSES = {
    errno.EACCES: "is the process root?",
    errno.EPERM: "is the process root?",
    errno.EROFS: "is the directory mounted read-only?",
    errno.ENOENT: "is the kubelet's directory mounted at this path (hostPath)?",
    errno.ENOTDIR: "is the kubelet's directory mounted at this path (hostPath)?",
}


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


def target(path: Path) -> str:
    """The path as gRPC wants it named, which takes percent signs for escapes; any bytes may be in it."""
    return f"unix:{quote(os.fsencode(path))}"


def explained(error: OSError, path: Path) -> SocketError:
    code = errno.errorcode.get(error.errno or 0, "unknown error")
    hint = CAUSES.get(error.errno or 0)
    return SocketError(f"socket {path}: {code}: {error.strerror or error}{f'; {hint}' if hint else ''}")


def private_path(path: Path) -> Path:
    """Where a server is bound before it is renamed to `path`.

    gRPC binds silently over a live listener, and a server that stops unlinks the path it was given, even when
    another server's socket is there by then; a server that was bound elsewhere does neither to `path`.
    """
    return path.with_name(f".xpu-{random.getrandbits(32):08x}")


def check_place(path: Path) -> None:
    """Check that a socket may be put at `path` and that the directory takes one.

    Raises:
        OtherInstanceError: a live listener is there.
        SocketError: a file that is no socket is there, or the directory takes none.
    """
    _check_free(path)
    _try_bind(path)


def _check_free(path: Path) -> None:
    try:
        status = path.lstat()
        if not stat.S_ISSOCK(status.st_mode):
            raise SocketError(f"socket {path}: a file that is not a socket is there, and is left alone; remove it")
        if _is_live(path):
            raise OtherInstanceError(f"socket {path}: another process listens there, perhaps a second plugin instance")
    except FileNotFoundError:
        return
    except OSError as error:
        raise explained(error, path) from error


def _is_live(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except BlockingIOError:  # a listener whose queue is full
            return True
    return True


def _try_bind(path: Path) -> None:
    """Bind a throw-away socket, because gRPC does not tell the errno of a failing bind."""
    private = private_path(path)
    try:
        private.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.bind(str(private))
        private.unlink(missing_ok=True)
    except OSError as error:
        raise explained(error, path) from error


def put_in_place(private: Path, path: Path) -> Identity:
    """Make the bound private socket ours alone and move it to `path`, over a dead socket if there is one.

    Raises:
        OtherInstanceError: another instance was quicker.
        SocketError: it was removed meanwhile (a starting kubelet does that), or cannot be moved.
    """
    _check_free(path)
    try:
        private.chmod(0o600)
        private.rename(path)
    except OSError as error:
        raise explained(error, path) from error
    found = identity(path)
    if found is None:
        raise SocketError(f"socket {path}: removed as soon as it was there")
    return found


def remove_own(path: Path, ours: Identity) -> None:
    """Unlink the socket if it is still the one we put there, and may be unlinked: a dead one is in nobody's way."""
    if identity(path) == ours:
        with contextlib.suppress(OSError):
            path.unlink()
