"""Keys of CURVE, without which nothing is said or heard over tcp://.

A key is 40 characters of Z85 in a file, as a Kubernetes Secret mounts it. The list of allowed keys is read again when
it changes, so that a client can be let in or locked out without a restart.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import zmq

from xpu_shared.program.logs import Log

LARGEST_FILE = 64 * 1024  # bytes
KEY = re.compile(rb"[0-9A-Za-z.:+=^!/*?&<>()\[\]{}@%$#-]{40}")

log = Log("telemetry")


class KeyFileError(Exception):
    """A key file cannot be used; the text names it, and never what is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKeys:
    """What a subscriber needs."""

    public: bytes
    secret: bytes
    server: bytes  # the publisher's public key


class AllowedKeys:
    """The public keys that may subscribe: one a line, what follows a blank is a remark, as are lines of `# `."""

    def __init__(self, path: Path) -> None:
        """Read the list; KeyFileError when it cannot be used."""
        self._path = path
        self._version: tuple[int, int, int] | None = None
        self._keys: frozenset[bytes] = frozenset()
        self._trouble = ""
        self._read()

    def allows(self, key: bytes) -> bool:
        """Whether a key may subscribe. A list that cannot be read any more stays as it was."""
        try:
            self._read()
            self._trouble = ""
        except KeyFileError as error:
            if str(error) != self._trouble:
                log.error("goes on with the allowed keys read before", reason=error)
            self._trouble = str(error)
        return key in self._keys

    def _read(self) -> None:
        try:
            status = self._path.stat()
        except OSError as error:
            raise KeyFileError(f"{self._path}: {error.strerror}") from None
        version = (status.st_ino, status.st_mtime_ns, status.st_size)
        if version == self._version:
            return
        lines = [line.split() for line in _content(self._path).splitlines() if not line.startswith(b"# ")]
        keys = [words[0] for words in lines if words and words != [b"#"]]
        for number, key in enumerate(keys, start=1):
            if not KEY.fullmatch(key):
                raise KeyFileError(f"{self._path}: key {number}: expected 40 characters of Z85")
        self._keys, self._version = frozenset(keys), version


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKeys:
    """What a publisher needs."""

    secret: bytes
    allowed: AllowedKeys


def read_key(path: Path) -> bytes:
    """The one key in a file; KeyFileError when there is none."""
    key = _content(path).strip()
    if not KEY.fullmatch(key):
        raise KeyFileError(f"{path}: expected one key of 40 characters of Z85, found {len(key)} bytes")
    return key


def server_keys(secret_file: Path | None, allowed_file: Path | None) -> ServerKeys | None:
    """A publisher's keys, None without both files; KeyFileError when a file cannot be used."""
    if secret_file is None or allowed_file is None:
        return None
    return ServerKeys(secret=read_key(secret_file), allowed=AllowedKeys(allowed_file))


def client_keys(secret_file: Path, server_file: Path) -> ClientKeys:
    """A subscriber's keys; KeyFileError when a file cannot be used."""
    secret = read_key(secret_file)
    return ClientKeys(public=zmq.curve_public(secret), secret=secret, server=read_key(server_file))


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise KeyFileError(f"{path}: larger than {LARGEST_FILE} bytes")
    return content
