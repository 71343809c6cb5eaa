"""CDI files: one YAML file per device tells container runtimes what a qualified name stands for.

Files are written when a scan finds the device, so that they exist again right after a boot, and looked at again when
the device is handed out. A runtime rejects a whole file for one bad name, so names are checked before writing.
"""

import os
import random
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from xpu_shared.device import CdiDevice, FilesystemMount, Mount

PART = re.compile(r"[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?")
# Plain YAML scalars that no YAML version takes for anything but this string; all others are quoted.
PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*(?::[A-Za-z0-9_./-]+)*")
VERSION = re.compile(r"\d+\.\d+\.\d+")
NOT_STRINGS = frozenset(["y", "n", "yes", "no", "true", "false", "on", "off", "null", "nan", "inf"])
LARGEST_FILE = 64 * 1024  # bytes; a file of ours has a few hundred


class CdiError(Exception):
    """A CDI file cannot be written; the text names the file and the reason."""


def violation(device: CdiDevice) -> str | None:
    """The rule that the device's kind or name breaks, None when a runtime accepts both."""
    vendor, slash, class_ = device.kind.partition("/")
    if not slash or not PART.fullmatch(vendor) or not PART.fullmatch(class_):
        return (
            f"CDI kind {device.kind!r}: expected vendor/class, each starting with a letter, ending with a letter or "
            "digit, with letters, digits, '_', '-', '.' between"
        )
    if not NAME.fullmatch(device.name):
        return (
            f"CDI device name {device.name!r}: expected a letter or digit at both ends, letters, digits, '_', '-', "
            "'.', ':' between"
        )
    return None


def file_name(kind: str, name: str) -> str:
    return f"{kind.replace('/', '-')}-{name}.yaml"


def render(device: CdiDevice) -> str:
    """The device's CDI file: YAML with keys in alphabetical order."""
    edits: dict[str, object] = {}
    if device.nodes:
        edits["deviceNodes"] = [
            {"hostPath": node.host_path, "path": node.container_path, "permissions": node.permissions}
            for node in device.nodes
        ]
    if device.mounts or device.filesystems:
        edits["mounts"] = [*map(_bind_mount, device.mounts), *map(_filesystem_mount, device.filesystems)]
    # 0.5.0 is the first version with hostPath of device nodes, 0.6.0 the first whose class may hold a dot.
    version = "0.6.0" if "." in device.kind.partition("/")[2] else "0.5.0"
    specification = {
        "cdiVersion": version,
        "containerEdits": {},
        "devices": [{"containerEdits": edits, "name": device.name}],
        "kind": device.kind,
    }
    return "---\n" + "\n".join(_yaml(specification)) + "\n"


def _bind_mount(mount: Mount) -> dict[str, object]:
    return {
        "containerPath": mount.container_path,
        "hostPath": mount.host_path,
        "options": ["bind", "ro" if mount.read_only else "rw"],
        "type": "none",
    }


def _filesystem_mount(mount: FilesystemMount) -> dict[str, object]:
    return {
        "containerPath": mount.container_path,
        "hostPath": mount.source,
        "options": list(mount.options),
        "type": mount.type,
    }


def _yaml(value: object) -> list[str]:
    """The lines of a block-style YAML document; small enough that plugins need no YAML library to write it."""
    if isinstance(value, dict) and value:
        lines = []
        for key, item in value.items():
            inner = _yaml(item)
            nested = isinstance(item, dict | list) and item
            if nested:
                lines += [f"{key}:", *(inner if isinstance(item, list) else [f"  {line}" for line in inner])]
            else:
                lines.append(f"{key}: {inner[0]}")
        return lines
    if isinstance(value, list) and value:
        return [("- " if number == 0 else "  ") + line for item in value for number, line in enumerate(_yaml(item))]
    if isinstance(value, dict | list):
        return ["{}" if isinstance(value, dict) else "[]"]
    text = str(value)
    plain = PLAIN.fullmatch(text) and text.lower() not in NOT_STRINGS
    return [text if plain or VERSION.fullmatch(text) else _quoted(text)]


def _quoted(text: str) -> str:
    """A double-quoted YAML scalar, with everything but printable ASCII escaped."""
    plain = (c if " " <= c <= "~" and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)
    return '"' + "".join(plain) + '"'


class CdiDirectory:
    """The files of our kinds in one CDI directory. Other files are never touched."""

    def __init__(self, directory: Path, kinds: Sequence[str]) -> None:
        self._directory = directory
        self._kinds = tuple(kinds)
        self._written: dict[Path, tuple[CdiDevice, tuple[int, ...]]] = {}
        self._missing_since: dict[Path, float] = {}

    def has(self, device: CdiDevice) -> bool:
        """Whether the device's file is there as it was last written or read: one lstat."""
        path = self._directory / file_name(device.kind, device.name)
        known = self._written.get(path)
        return known is not None and known == (device, _signature(path))

    def ensure(self, device: CdiDevice) -> None:
        """Make the device's file say what the device is now; quick when it does already.

        Raises:
            CdiError: the file cannot be written.
        """
        if self.has(device):
            return
        path = self._directory / file_name(device.kind, device.name)
        text = render(device)
        try:
            if _read(path) != text:
                self._replace(path, text)
        except OSError as error:
            raise CdiError(f"CDI file {path}: {error.strerror or error}") from error
        self._written[path] = (device, _signature(path))

    def _replace(self, path: Path, text: str) -> None:
        """Write beside the target and rename, so that a runtime never sees half a file and no link is followed."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        temporary = self._directory / f"spec.{random.getrandbits(64):016x}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
                os.fchmod(file.fileno(), 0o644)  # whatever the umask: runtimes may run as another user
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def collect(
        self, found: Iterable[CdiDevice], *, retention: float, now: float, held: Iterable[CdiDevice] = ()
    ) -> list[Path]:
        """Remove files of our kinds whose device has not been found for `retention` seconds; returns them.

        A file counts as ours when its name and its content both say so.

        Args:
            now: monotonic seconds.
            held: devices that some container still holds: their files stay.
        Raises:
            CdiError: the directory or a file in it cannot be dealt with.
        """
        wanted = {file_name(device.kind, device.name) for device in found}
        kept = {self._directory / file_name(device.kind, device.name) for device in held}
        prefixes = tuple(f"{kind.replace('/', '-')}-" for kind in self._kinds)
        try:
            names = [entry.name for entry in os.scandir(self._directory) if entry.name.startswith(prefixes)]
        except FileNotFoundError:
            names = []
        except OSError as error:
            raise CdiError(f"CDI directory {self._directory}: {error.strerror or error}") from error
        orphans = [self._directory / name for name in names if name not in wanted]
        self._missing_since = {path: self._missing_since.get(path, now) for path in orphans}
        expired = [path for path, since in self._missing_since.items() if now - since >= retention and path not in kept]
        return [path for path in expired if self._remove(path)]

    def _remove(self, path: Path) -> bool:
        try:
            text = _read(path) or ""
            ours = any(
                text.endswith(f"\nkind: {kind}\n") and path.name.startswith(file_name(kind, "")[: -len(".yaml")])
                for kind in self._kinds
            )
            if ours:
                path.unlink()
        except OSError as error:
            raise CdiError(f"CDI file {path}: {error.strerror or error}") from error
        if ours:
            self._written.pop(path, None)
        return ours


def _signature(path: Path) -> tuple[int, ...]:
    """Changes whenever the file does; empty when there is none."""
    try:
        status = path.lstat()
    except OSError:
        return ()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _read(path: Path) -> str | None:
    """The file's text; None when it is absent, no regular file, too large, or no text: then it is not one of ours."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return os.read(descriptor, LARGEST_FILE).decode()
    except UnicodeDecodeError:
        return None
    finally:
        os.close(descriptor)
