"""Our sockets in the kubelet's directory: whether the directory takes one, and how it is put in place."""

import errno
import os
import socket
from pathlib import Path
from urllib.parse import quote

from xpu_shared import sockets
from xpu_shared.sockets import Identity, SocketError, identity, private_path

CHANNEL = (("grpc.use_local_subchannel_pool", 1),)  # or a new channel waits as long as the last one would have
CAUSES = {
    errno.EACCES: "is the process root?",
    errno.EPERM: "is the process root?",
    errno.EROFS: "is the directory mounted read-only?",
    errno.ENOENT: "is the kubelet's directory mounted at this path (hostPath)?",
    errno.ENOTDIR: "is the kubelet's directory mounted at this path (hostPath)?",
}


def target(path: Path) -> str:
    """The path as gRPC wants it named, which takes percent signs for escapes; any bytes may be in it."""
    return f"unix:{quote(os.fsencode(path))}"


def explained(error: OSError, path: Path) -> SocketError:
    return sockets.explained(error, path, CAUSES)


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
        sockets.check_free(path, rival="a second plugin instance")
    except OSError as error:
        raise explained(error, path) from error


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
