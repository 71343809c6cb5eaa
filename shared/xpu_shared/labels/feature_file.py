"""A file of labels for NFD, node-feature-discovery, whose worker reads the files of its `features.d` directory.

A file begins with a line that says until when NFD may believe it, so that a node whose writer is gone loses its labels.
Writing is a rename of a hidden file beside it: NFD sees all of it or nothing, and a link is replaced, never followed.
"""

import contextlib
import os
import re
import stat
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

LARGEST_FILE = 65_536  # bytes; NFD ignores a larger one
EXPIRY = "# +expiry-time="
TEMPORARY = re.compile(r"[0-9a-f]{16}")


class FeatureFileError(Exception):
    """The file cannot be written; the text names it and says why. What was there before is there still."""


class FeatureFile:
    """One file, of which nobody else is the writer.

    Args:
        path: its name does not begin with a dot.
        lifetime: how long NFD may believe what is written; it is written again at half of it. None: for ever, for
            what can only change when the machine does.
    """

    def __init__(self, path: Path, *, lifetime: timedelta | None = None) -> None:
        self.path = path
        self._lifetime = lifetime
        self._lines: Sequence[str] | None = None  # as last written or found
        self._expires: datetime | None = None
        self._seen: tuple[int, ...] | None = None  # which file that was

    def update(self, labels: Mapping[str, str], *, now: datetime) -> bool:
        """Make the file say `labels`, in their order; returns whether it had to be written.

        Raises:
            FeatureFileError: it cannot be; ask again later.
        """
        lines = [f"{name}={value}" for name, value in labels.items()]
        seen = self._look()
        if seen != self._seen:  # at first, and when somebody else has changed it
            self._read()
        if self._lines == lines and self._is_fresh(now) and seen:
            return False
        expires = None
        first = []
        if self._lifetime is not None:
            expires = (now + self._lifetime).astimezone(UTC).replace(microsecond=0)
            first = [f"{EXPIRY}{expires:%Y-%m-%dT%H:%M:%SZ}"]
        text = "".join(f"{line}\n" for line in (*first, *lines))
        if len(text.encode()) > LARGEST_FILE:
            size = len(text.encode())
            raise FeatureFileError(f"{self.path}: its {size} bytes are more than the {LARGEST_FILE} that NFD reads")
        try:
            self._replace(text)
        except OSError as error:
            raise FeatureFileError(f"{self.path}: {error.strerror or error}") from error
        self._lines, self._expires, self._seen = lines, expires, self._look()
        return True

    def remove(self) -> None:
        """Take the labels away, at once.

        Raises:
            FeatureFileError: the file cannot be removed.
        """
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise FeatureFileError(f"{self.path}: {error.strerror or error}") from error
        self._lines = self._expires = self._seen = None

    def remove_leftovers(self) -> None:
        """Remove what a writer that was killed has left beside the file."""
        with contextlib.suppress(OSError):
            for entry in os.scandir(self.path.parent):
                if entry.name.startswith(self._hidden) and TEMPORARY.fullmatch(entry.name[len(self._hidden) :]):
                    with contextlib.suppress(OSError):
                        Path(entry.path).unlink()

    def _is_fresh(self, now: datetime) -> bool:
        """Neither old nor from a clock that has jumped back."""
        if self._lifetime is None or self._expires is None:
            return self._lifetime is None and self._expires is None
        return self._lifetime / 2 < self._expires - now <= self._lifetime

    @property
    def _hidden(self) -> str:
        return f".{self.path.stem}."

    def _look(self) -> tuple[int, ...] | None:
        """What tells the file as it is from any other; None when it is no regular file."""
        try:
            found = os.lstat(self.path)
        except OSError:
            return None
        identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        return identity if stat.S_ISREG(found.st_mode) else None

    def _read(self) -> None:
        """What an earlier process has written is not written again."""
        self._lines = self._expires = None
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return
        try:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            found = os.read(descriptor, LARGEST_FILE) if regular else b""
        finally:
            os.close(descriptor)
        first, *lines = found.decode("utf-8", "replace").splitlines() or [""]
        if not first.startswith(EXPIRY):
            self._lines = [first, *lines]
            return
        with contextlib.suppress(ValueError):
            self._expires = datetime.fromisoformat(first.removeprefix(EXPIRY)).astimezone(UTC)
            self._lines = lines

    def _replace(self, text: str) -> None:
        if self.path.is_dir() and not self.path.is_symlink():
            raise IsADirectoryError(None, "is a directory")
        temporary = self.path.with_name(f"{self._hidden}{os.urandom(8).hex()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(descriptor)
            temporary.rename(self.path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
