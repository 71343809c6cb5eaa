"""A close eye on the kubelet's socket directory: inotify tells at once, a poll every second is the safety net."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from xpu_shared.kubelet.sockets import Identity, identity

POLL = 1.0  # seconds


class SocketDirectory:
    """Tells its listeners when the identity of a socket they look at has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kubelet = path / "kubelet.sock"
        self._seen: dict[Path, Identity | None] = {}
        self._listeners: set[Callable[[], None]] = set()

    def listen(self, listener: Callable[[], None]) -> None:
        self._listeners.add(listener)

    def stop_listening(self, listener: Callable[[], None]) -> None:
        self._listeners.discard(listener)

    def look_at(self, *paths: Path) -> None:
        """Have these sockets looked at besides the kubelet's own."""
        self._seen.update((path, identity(path)) for path in paths)

    def overlook(self, path: Path) -> None:
        self._seen.pop(path, None)

    def look(self) -> None:
        """Compare every socket with the last look; tell the listeners when one differs."""
        now = {path: identity(path) for path in {self.kubelet, *self._seen}}
        if now != self._seen:
            self._seen = now
            for listener in tuple(self._listeners):
                listener()

    async def run(self) -> None:
        """Look every second until cancelled; whoever watches the directory calls `look` in between."""
        while True:
            self.look()
            await asyncio.sleep(POLL)
